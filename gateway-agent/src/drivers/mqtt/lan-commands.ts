import { setTimeout as wait } from 'node:timers/promises';
import type { BuildingId, DeviceId } from '@domicile/core/identities.ts';
import { parseTime } from '@domicile/core/telemetry.ts';
import { filterMatches } from '@domicile/core/topics.ts';
import type { OutboundMessage } from '@domicile/mqtt/owner.ts';
import type { LanCommand, LanRules } from '../../model/lan-rules.ts';
import type { MetricValue } from '../../model/value-rule.ts';
import type { CommandOutcome, DeviceCommand } from '../driver.ts';
import type { LanSession } from './lan-client.ts';
import { commandTopics, mayListen } from './lan-topics.ts';

export interface LanCommandsOptions {
  readonly building: BuildingId;
  readonly rules: LanRules;
  readonly sessions: ReadonlyMap<string, LanSession>;
  readonly answerTimeoutMs: number;
  readonly now: () => number;
}

/** Values that a device was asked for and has not reported. */
interface Wish {
  readonly device: DeviceId;
  readonly open: Map<string, MetricValue>;
  readonly granted: () => void;
}

/** Commands to devices: to those that know the platform's topics, and by rules to those that do not. */
export class LanCommands {
  readonly #options: LanCommandsOptions;
  readonly #answers = new Map<string, (outcome: CommandOutcome) => void>();
  readonly #wishes = new Set<Wish>();
  readonly #stop = new AbortController();

  constructor(options: LanCommandsOptions) {
    this.#options = options;
  }

  drives(device: DeviceId): boolean {
    return this.#listenerFor(device, 'any') !== undefined || this.#takesByRule(device);
  }

  /** Who asked for this device's commands; who listens to everything is not meant. */
  #listenerFor(device: DeviceId, id: string): { session: LanSession; topic: string } | undefined {
    const { building, sessions } = this.#options;
    for (const topic of commandTopics(building, device, id))
      for (const session of sessions.values())
        if (session.connected && session.wants(topic) && asksFor(session, topic, building))
          return { session, topic };
    return undefined;
  }

  #takesByRule(device: DeviceId): boolean {
    return this.#options.rules
      .commandTopics(device)
      .some((topic) => this.#takers(topic).length > 0);
  }

  #takers(topic: string): LanSession[] {
    return [...this.#options.sessions.values()].filter(
      (session) => session.connected && session.wants(topic),
    );
  }

  /** A device that knows the platform says what became of a command. */
  answered(id: string, outcome: CommandOutcome): void {
    this.#answers.get(id)?.(outcome);
  }

  /** A device reports values: those that were wished for have come true. */
  reported(device: DeviceId, values: Readonly<Record<string, MetricValue>>): void {
    for (const wish of this.#wishes) {
      if (wish.device !== device) continue;
      for (const [metric, wanted] of wish.open)
        if (Object.hasOwn(values, metric) && isSame(values[metric], wanted))
          wish.open.delete(metric);
      if (wish.open.size === 0) wish.granted();
    }
  }

  async apply(command: DeviceCommand): Promise<CommandOutcome> {
    const listener = this.#listenerFor(command.device, command.id);
    if (listener) return this.#tell(command, listener);
    if (this.#takesByRule(command.device)) return this.#set(command);
    return { state: 'failed', reason: 'the device does not listen' };
  }

  async #tell(
    { id, set, expiresAt }: DeviceCommand,
    { session, topic }: { session: LanSession; topic: string },
  ): Promise<CommandOutcome> {
    const { promise, resolve } = Promise.withResolvers<CommandOutcome>();
    this.#answers.set(id, resolve);
    try {
      const payload = Buffer.from(JSON.stringify({ id, set, expiresAt }));
      const delivered = session.deliver({ topic, payload, qos: 1, ...this.#expiry(expiresAt) });
      const failure = delivered.then((became): CommandOutcome | Promise<CommandOutcome> =>
        became === 'acked' || became === 'sent'
          ? promise
          : { state: 'failed', reason: `not delivered: ${became}` },
      );
      return await Promise.race([failure, promise, this.#silence('the device did not answer')]);
    } finally {
      this.#answers.delete(id);
    }
  }

  async #set({ device, set, expiresAt }: DeviceCommand): Promise<CommandOutcome> {
    const messages: LanCommand[] = [];
    for (const [metric, value] of Object.entries(set)) {
      const message = this.#options.rules.command(device, metric, value);
      if (!message) return { state: 'failed', reason: `no rule sets ${metric}` };
      if (this.#takers(message.topic).length === 0)
        return { state: 'failed', reason: `the device does not listen for ${metric}` };
      messages.push(message);
    }
    if (messages.length === 0) return { state: 'failed', reason: 'the command sets nothing' };
    const { promise, resolve } = Promise.withResolvers<void>();
    const wish: Wish = { device, open: new Map(Object.entries(set)), granted: resolve };
    this.#wishes.add(wish);
    try {
      for (const { topic, payload, qos, retain } of messages) {
        const message = { topic, payload: Buffer.from(payload), qos, retain };
        this.#give({ ...message, ...this.#expiry(expiresAt) });
      }
      const granted = promise.then((): CommandOutcome => ({ state: 'applied' }));
      return await Promise.race([granted, this.#silence('the device did not report it')]);
    } finally {
      this.#wishes.delete(wish);
    }
  }

  #give(message: OutboundMessage): void {
    for (const session of this.#takers(message.topic)) void session.deliver(message);
  }

  /** What waits in a session is not sent once nobody waits for its answer. */
  #expiry(expiresAt: string | undefined): { expiresAtMs: number } {
    const expiresAtMs = expiresAt === undefined ? undefined : parseTime(expiresAt);
    const patientUntilMs = this.#options.now() + this.#options.answerTimeoutMs;
    return { expiresAtMs: Math.min(expiresAtMs ?? Infinity, patientUntilMs) };
  }

  async #silence(why: string): Promise<CommandOutcome> {
    const { signal } = this.#stop;
    const timeout = { ref: false, signal };
    const outcome: CommandOutcome = { state: 'unknown', reason: why };
    return wait(this.#options.answerTimeoutMs, outcome, timeout).catch((): CommandOutcome => ({
      state: 'unknown',
      reason: 'the agent stopped',
    }));
  }

  /** Nobody will answer any more. */
  close(): void {
    this.#stop.abort();
  }
}

function asksFor(session: LanSession, topic: string, building: BuildingId): boolean {
  return session.subscriptions
    .values()
    .some(({ filter }) => mayListen(filter, building) && filterMatches(filter, topic));
}

/** A device may round what it was told. */
function isSame(reported: MetricValue | undefined, wanted: MetricValue): boolean {
  if (typeof reported === 'number' && typeof wanted === 'number')
    return Math.abs(reported - wanted) <= 1e-6 * Math.max(1, Math.abs(wanted));
  return reported === wanted;
}
