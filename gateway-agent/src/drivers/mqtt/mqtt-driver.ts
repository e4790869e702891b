import { timingSafeEqual } from 'node:crypto';
import type { Socket } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import { commandStatePayload } from '@domicile/core/command.ts';
import { deviceStatusPayload } from '@domicile/core/device-status.ts';
import { PlatformError } from '@domicile/core/errors.ts';
import type { DeviceId } from '@domicile/core/identities.ts';
import { parseTime } from '@domicile/core/telemetry.ts';
import type { Topic } from '@domicile/core/topics.ts';
import {
  type Admission,
  type ConnectRequest,
  type InboundMessage,
  MqttDisconnect,
  type MqttOwner,
  type Session,
  type Subscription,
} from '@domicile/mqtt/owner.ts';
import { reason } from '@domicile/mqtt/reason-codes.ts';
import { MqttServer } from '@domicile/mqtt/server.ts';
import type { CommandOutcome, DeviceCommand, Driver, DriverHost } from '../driver.ts';
import { portOf } from '../listen.ts';
import { commandTopics, mayListen, parseLanTopic } from './lan-topics.ts';
import { Repeats } from './repeats.ts';

export interface MqttDriverConfig {
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  /** By user name; absent: whoever reaches the port may send. */
  readonly passwords?: Readonly<Record<string, string>> | undefined;
  /** How long a device may take to say what became of a command. */
  readonly answerTimeoutMs: number;
}

const drainTimeoutMs = 5000;
/** A building has 5,000 devices at most; several may share a client. */
const lanLimits = { connectionsMax: 5000, sessionsMax: 10_000 };

/** What is known of a client as long as its session lives. */
interface LanClient {
  readonly repeats: Repeats;
}

type LanSession = Session<LanClient>;

/**
 * An MQTT listener on the LAN, 3.1.1 and 5. Devices publish to `v1/{building}/{device}/telemetry` or `{device}/telemetry`; a
 * QoS 1 or 2 message is acked when it is on disk. Commands go to who subscribes to the device's.
 */
export async function startMqttDriver(config: MqttDriverConfig, host: DriverHost): Promise<Driver> {
  const lan = new LanOwner(config, host);
  const mqtt = new MqttServer<LanClient, Socket>(lan, { limits: lanLimits });
  const listener = await host.listen('mqtt', config);
  listener.on('connection', (socket) => mqtt.serve(socket, socket));
  return {
    name: 'mqtt',
    port: portOf(listener),
    drives: (device) => lan.drives(device),
    apply: (command) => lan.apply(command),
    async [Symbol.asyncDispose]() {
      listener.close();
      await mqtt.drain(drainTimeoutMs);
      mqtt[Symbol.dispose]();
    },
  };
}

class LanOwner implements MqttOwner<LanClient, Socket> {
  readonly #config: MqttDriverConfig;
  readonly #host: DriverHost;
  readonly #clients = new Map<string, LanClient>();
  readonly #sessions = new Map<string, LanSession>();
  readonly #answers = new Map<string, (outcome: CommandOutcome) => void>();

  constructor(config: MqttDriverConfig, host: DriverHost) {
    this.#config = config;
    this.#host = host;
  }

  async authenticate(request: ConnectRequest): Promise<Admission<LanClient>> {
    if (!this.#isKnown(request))
      return { admitted: false, reasonCode: reason.badUserNameOrPassword };
    const { clientId: key } = request;
    const known = request.cleanStart ? undefined : this.#clients.get(key);
    const identity = known ?? { repeats: new Repeats(this.#host.now) };
    this.#clients.set(key, identity);
    return { admitted: true, key, identity };
  }

  #isKnown({ userName = '', password }: ConnectRequest): boolean {
    const { passwords } = this.#config;
    if (!passwords) return true;
    const expected = Object.hasOwn(passwords, userName) ? passwords[userName] : undefined;
    if (expected === undefined || password === undefined) return false;
    const wanted = Buffer.from(expected);
    return wanted.length === password.length && timingSafeEqual(wanted, password);
  }

  opened(session: LanSession): void {
    this.#sessions.set(session.key, session);
  }

  closed({ identity }: LanSession): void {
    identity.repeats.disconnected();
  }

  ended(session: LanSession): void {
    if (this.#sessions.get(session.key) !== session) return;
    this.#sessions.delete(session.key);
    this.#clients.delete(session.key);
  }

  async publish(session: LanSession, message: InboundMessage): Promise<number | undefined> {
    const code = await this.#take(session, message);
    if (code !== undefined) this.#host.events.readingRefused('mqtt', `0x${code.toString(16)}`);
    return code;
  }

  async #take(session: LanSession, message: InboundMessage): Promise<number | undefined> {
    const topic = parseLanTopic(message.topic, this.#host.building);
    if (!topic) return reason.topicNameInvalid;
    if (topic.building !== this.#host.building) return reason.notAuthorized;
    switch (topic.kind) {
      case 'telemetry':
      case 'backfill':
        return this.#keep(session, topic, message);
      case 'status':
        return this.#status(topic.device, message);
      case 'command-state':
        return this.#answer(topic.command, message);
      case 'account':
      case 'command':
      default:
        return reason.notAuthorized;
    }
  }

  async #keep(
    { identity }: LanSession,
    { kind, device }: Topic,
    { payload, packetId, dup }: InboundMessage,
  ): Promise<number | undefined> {
    const { events } = this.#host;
    const keep = () => this.#host.take([{ device, payload, history: kind === 'backfill' }]);
    try {
      if (packetId === undefined) await keep();
      else if ((await identity.repeats.once({ packetId, dup, payload }, keep)) === 'repeated')
        return undefined;
      events.readingTaken('mqtt', 1);
      return undefined;
    } catch (error) {
      if (!(error instanceof PlatformError)) throw error;
      const { mqttReasonCode } = error.decision;
      // A PUBACK has no such word (MQTT 5, section 3.4.2.1); a DISCONNECT has.
      if (mqttReasonCode === reason.packetTooLarge)
        throw new MqttDisconnect(mqttReasonCode, error.message, { cause: error });
      return mqttReasonCode;
    }
  }

  #status(device: DeviceId, { payload }: InboundMessage): number | undefined {
    const status = deviceStatusPayload.safeParse(jsonOf(payload));
    if (!status.success) return reason.implementationSpecific;
    this.#host.status(device, status.data.state);
    return undefined;
  }

  #answer(id: string, { payload }: InboundMessage): number | undefined {
    const answer = commandStatePayload.safeParse(jsonOf(payload));
    if (!answer.success) return reason.implementationSpecific;
    const { state, reason: why = 'the device gave no reason' } = answer.data;
    if (state === 'applied') this.#answers.get(id)?.({ state });
    else if (state === 'failed') this.#answers.get(id)?.({ state, reason: why });
    return undefined;
  }

  will(session: LanSession, message: InboundMessage): void {
    // Nobody waits for a will's ack; what cannot be kept is counted.
    void this.publish(session, message).catch(() => undefined);
  }

  subscribe(_session: LanSession, { filter, share, qos }: Subscription): number {
    if (share !== undefined) return reason.sharedSubscriptionsUnsupported;
    if (!mayListen(filter, this.#host.building)) return reason.notAuthorized;
    return Math.min(qos, 1);
  }

  drives(device: DeviceId): boolean {
    return this.#listenerFor(device, 'any') !== undefined;
  }

  #listenerFor(device: DeviceId, id: string): { session: LanSession; topic: string } | undefined {
    for (const topic of commandTopics(this.#host.building, device, id))
      for (const session of this.#sessions.values())
        if (session.wants(topic)) return { session, topic };
    return undefined;
  }

  async apply({ id, device, set, expiresAt }: DeviceCommand): Promise<CommandOutcome> {
    const listener = this.#listenerFor(device, id);
    if (!listener) return { state: 'failed', reason: 'the device does not listen' };
    const expiresAtMs = expiresAt === undefined ? undefined : parseTime(expiresAt);
    const { promise, resolve } = Promise.withResolvers<CommandOutcome>();
    this.#answers.set(id, resolve);
    try {
      const delivery = await listener.session.deliver({
        topic: listener.topic,
        payload: Buffer.from(JSON.stringify({ id, set, expiresAt })),
        qos: 1,
        ...(expiresAtMs !== undefined && { expiresAtMs }),
      });
      if (delivery !== 'acked' && delivery !== 'sent')
        return { state: 'failed', reason: `not delivered: ${delivery}` };
      return await Promise.race([promise, this.#silence()]);
    } finally {
      this.#answers.delete(id);
    }
  }

  async #silence(): Promise<CommandOutcome> {
    await wait(this.#config.answerTimeoutMs, undefined, { ref: false });
    return { state: 'unknown', reason: 'the device did not answer' };
  }
}

function jsonOf(payload: Buffer): unknown {
  try {
    return JSON.parse(payload.toString());
  } catch {
    return undefined;
  }
}
