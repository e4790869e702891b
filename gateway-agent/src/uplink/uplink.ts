import { setTimeout as wait } from 'node:timers/promises';
import {
  type BuildingId,
  type DeviceId,
  gatewayDevice,
  parseDeviceId,
} from '@domicile/core/identities.ts';
import { topicText } from '@domicile/core/topics.ts';
import type { UplinkConfig } from '../config.ts';
import type { AgentEvents } from '../events.ts';
import { accountMessages, accountOf } from '../model/account.ts';
import { messageBytesMax } from '../model/batches.ts';
import type { StoredRecord } from '../model/record.ts';
import type { Store } from '../store/store.ts';
import { runBacklog } from './backlog-lane.ts';
import { type Link, LinkLost, MessageRefused, openLink } from './link.ts';
import { LiveLane } from './live-lane.ts';

/** Commands as the uplink sees them: it carries them down, and their states up. */
export interface CommandPort {
  /** Keeps a command that came down; it is acked to the cell when this resolves. */
  receive(topic: string, payload: Buffer): Promise<void>;
  /** States that the cell has not acked, oldest first. */
  unsent(): readonly { readonly topic: string; readonly payload: Buffer; readonly key: number }[];
  sent(key: number): Promise<void>;
  /** Calls back when there is a new state. */
  onState(listener: () => void): void;
}

export interface UplinkOptions {
  readonly config: UplinkConfig;
  readonly building: BuildingId;
  readonly store: () => Store;
  readonly commands: CommandPort;
  readonly events: AgentEvents;
  readonly now: () => number;
}

const reconnectFirstMs = 250;
/** Devices of a building, at most. */
const statusesMax = 5000;
/** A new run or a drop is told soon, and several together. */
const accountDelayMs = 500;

/** The way up: connects, stays connected, sends live data and backlog side by side. */
export class Uplink {
  readonly #options: UplinkOptions;
  readonly #live: LiveLane;
  readonly #statusTopic: string;
  readonly #accountTopic: string;
  #link: Link | undefined;
  readonly #statuses = new Map<DeviceId, Buffer>();
  #accountTimer: NodeJS.Timeout | undefined;
  #sendingStates = false;

  constructor(options: UplinkOptions) {
    this.#options = options;
    const { building, store, events, commands } = options;
    this.#live = new LiveLane(store, building, events);
    const device = parseDeviceId(gatewayDevice);
    this.#statusTopic = topicText({ kind: 'status', building, device });
    this.#accountTopic = topicText({ kind: 'account', building, device });
    commands.onState(() => void this.#sendStates());
  }

  get connected(): boolean {
    return this.#link !== undefined;
  }

  appended(records: readonly StoredRecord[]): void {
    this.#live.offer(records);
  }

  accountChanged(): void {
    this.#accountTimer ??= setTimeout(() => {
      this.#accountTimer = undefined;
      void this.#sendAccount();
    }, accountDelayMs);
  }

  /** Devices' status goes up when it changes, and all of it at each connection. */
  tellStatus(device: DeviceId, state: 'online' | 'offline'): void {
    if (this.#statuses.size >= statusesMax && !this.#statuses.has(device)) return;
    this.#statuses.set(device, this.#status(state));
    void this.#sendStatus(device);
  }

  async #sendStatus(device: DeviceId): Promise<void> {
    const payload = this.#statuses.get(device);
    const { building } = this.#options;
    const topic = topicText({ kind: 'status', building, device });
    // What fails is told at the next connection.
    if (payload) await this.#link?.publish(topic, payload, { retain: true }).catch(() => undefined);
  }

  /** Runs until `signal`; then what is in flight is given its time, and the gateway says that it goes. */
  async run(signal: AbortSignal): Promise<void> {
    const { config, events } = this.#options;
    let delayMs = reconnectFirstMs;
    while (!signal.aborted) {
      try {
        const link = await this.#open(signal);
        delayMs = reconnectFirstMs;
        await this.#serve(link, signal);
      } catch (error) {
        if (signal.aborted) break;
        events.uplinkFailed(error instanceof Error ? error.message : 'unknown');
      }
      const jittered = delayMs * (0.5 + Math.random() / 2);
      await wait(jittered, undefined, { signal }).catch(() => undefined);
      delayMs = Math.min(config.reconnectMsMax, delayMs * 2);
    }
    clearTimeout(this.#accountTimer);
  }

  #open(signal: AbortSignal): Promise<Link> {
    const { config, commands, building, events } = this.#options;
    return openLink(
      config,
      {
        commandFilter: `v1/${building}/+/commands/+`,
        command: async (topic, payload) =>
          commands.receive(topic, payload).catch(() => events.commandRefused()),
        status: { topic: this.#statusTopic, offline: this.#status('offline') },
      },
      signal,
    );
  }

  async #serve(link: Link, signal: AbortSignal): Promise<void> {
    const { config, events, store, building } = this.#options;
    const stop = new AbortController();
    const inFlightMax = Math.max(2, Math.min(config.inFlightMax, link.receiveMaximum - 4));
    this.#link = link;
    this.#live.attach(link, Math.ceil(inFlightMax / 2));
    events.uplinkConnected();
    const accountTimer = setInterval(() => void this.#sendAccount(), config.accountEveryMs);
    const backlog = runBacklog(
      store(),
      link,
      {
        building,
        events,
        readingsPerSecond: config.backfillPerSecond,
        inFlightMax: Math.floor(inFlightMax / 2),
        taken: () => this.#live.taken,
      },
      AbortSignal.any([signal, stop.signal]),
    );
    try {
      // Not waited for: a cell that does not ack must not keep the agent from stopping.
      void this.#greet(link);
      await endOf(AbortSignal.any([signal, link.lost]));
    } finally {
      clearInterval(accountTimer);
      if (signal.aborted) await this.#leave(link);
      stop.abort();
      await link.close(config.drainTimeoutMs);
      await backlog;
      this.#link = undefined;
      events.uplinkLost(reasonOf(link));
    }
  }

  async #greet(link: Link): Promise<void> {
    try {
      await this.#tell(link, 'online');
      await this.#sendAccount();
      await this.#sendStates();
      for (const device of this.#statuses.keys()) await this.#sendStatus(device);
    } catch (error) {
      if (!(error instanceof LinkLost)) throw error;
    }
  }

  /** Lets what is on its way arrive, then says goodbye; bounded. */
  async #leave(link: Link): Promise<void> {
    const timeout = AbortSignal.timeout(this.#options.config.drainTimeoutMs);
    this.#live.seal();
    await Promise.race([this.#live.idle(), endOf(AbortSignal.any([timeout, link.lost]))]);
    const goodbye = async () => {
      await this.#sendAccount();
      await this.#tell(link, 'offline');
    };
    await Promise.race([
      goodbye().catch(() => undefined),
      endOf(AbortSignal.any([timeout, link.lost])),
    ]);
  }

  /** A cell that refuses this is served all the same. */
  async #tell(link: Link, state: 'online' | 'offline'): Promise<void> {
    try {
      await link.publish(this.#statusTopic, this.#status(state), { retain: true });
    } catch (error) {
      if (!(error instanceof MessageRefused)) throw error;
      const { reasonCode } = error;
      this.#options.events.messageRefused({ lane: 'status', device: gatewayDevice, reasonCode });
    }
  }

  #status(state: 'online' | 'offline'): Buffer {
    return Buffer.from(JSON.stringify({ state, at: new Date(this.#options.now()).toISOString() }));
  }

  async #sendAccount(): Promise<void> {
    const link = this.#link;
    if (!link) return;
    const store = this.#options.store();
    const source = store.account(this.#options.now());
    try {
      for (const message of accountMessages(accountOf(source), messageBytesMax))
        await link.publish(this.#accountTopic, Buffer.from(JSON.stringify(message)));
      store.told(source);
    } catch (error) {
      // The next one says it again.
      this.#options.events.accountFailed(error instanceof Error ? error.message : 'unknown');
    }
  }

  /** One at a time and in order; what fails is sent at the next connection or with the next state. */
  async #sendStates(): Promise<void> {
    const { commands, events } = this.#options;
    if (this.#sendingStates) return;
    this.#sendingStates = true;
    try {
      for (;;) {
        const [state] = commands.unsent();
        if (!state || !this.#link) return;
        await this.#link.publish(state.topic, state.payload);
        await commands.sent(state.key);
      }
    } catch (error) {
      if (!(error instanceof LinkLost))
        events.statesFailed(error instanceof Error ? error.message : 'unknown');
    } finally {
      this.#sendingStates = false;
    }
  }
}

function reasonOf(link: Link): string {
  const reason: unknown = link.lost.reason;
  return reason instanceof Error ? reason.message : 'unknown';
}

async function endOf(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  const { promise, resolve } = Promise.withResolvers<void>();
  signal.addEventListener('abort', () => resolve(), { once: true });
  await promise;
}
