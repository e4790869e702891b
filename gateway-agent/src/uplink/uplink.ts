import { setTimeout as wait } from 'node:timers/promises';
import {
  type BuildingId,
  type DeviceId,
  gatewayDevice,
  parseDeviceId,
} from '@domicile/core/identities.ts';
import { topicText } from '@domicile/core/topics.ts';
import { keptBytes } from '@domicile/runtime/kept-bytes.ts';
import type { UplinkConfig } from '../config.ts';
import type { AgentEvents } from '../events.ts';
import { accountMessages, accountOfStores } from '../model/account.ts';
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
  /** Stores that other processes left, oldest first: they only lose readings. */
  readonly older?: () => readonly Store[];
  /** What is sent of a record; undefined: not yet, since its time may soon be known. */
  readonly bodyOf: (record: StoredRecord) => Buffer | undefined;
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
  #renewal = new AbortController();
  #commands: CommandPort | undefined;
  #isHandedOver = false;

  constructor(options: UplinkOptions) {
    this.#options = options;
    const { building, store, events } = options;
    this.#live = new LiveLane({ store, building, events, bodyOf: options.bodyOf });
    const device = parseDeviceId(gatewayDevice);
    this.#statusTopic = topicText({ kind: 'status', building, device });
    this.#accountTopic = topicText({ kind: 'account', building, device });
  }

  get connected(): boolean {
    return this.#link !== undefined;
  }

  appended(records: readonly StoredRecord[]): void {
    this.#live.offer(records);
  }

  /** The certificate changed: this link ends in good order, and the next one comes at once. */
  renew(): void {
    this.#renewal.abort();
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

  /** Another process goes on in this one's place: at its end the gateway does not say that it goes. */
  handOver(): void {
    this.#isHandedOver = true;
  }

  /** Runs until `signal`; then what is in flight is given its time, and the gateway says that it goes. */
  async run(commands: CommandPort, signal: AbortSignal): Promise<void> {
    const { config, events } = this.#options;
    this.#commands = commands;
    commands.onState(() => void this.#sendStates());
    let delayMs = reconnectFirstMs;
    while (!signal.aborted) {
      try {
        // What it reads of the certificate is read after this.
        this.#renewal = new AbortController();
        const link = await this.#open(signal);
        delayMs = reconnectFirstMs;
        await this.#serve(link, signal);
        if (this.#renewal.signal.aborted) continue;
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
    const { config, building, events } = this.#options;
    return openLink(
      config,
      {
        commandFilter: `v1/${building}/+/commands/+`,
        command: async (topic, payload) =>
          this.#commands?.receive(topic, payload).catch(() => events.commandRefused()),
        status: { topic: this.#statusTopic, offline: this.#status('offline') },
      },
      signal,
    );
  }

  async #serve(link: Link, signal: AbortSignal): Promise<void> {
    const { config, events, store, older, building } = this.#options;
    const stop = new AbortController();
    const inFlightMax = Math.max(2, Math.min(config.inFlightMax, link.receiveMaximum - 4));
    this.#link = link;
    this.#live.attach(link, Math.ceil(inFlightMax / 2));
    events.uplinkConnected();
    const accountTimer = setInterval(() => void this.#sendAccount(), config.accountEveryMs);
    const backlog = runBacklog(
      () => [...(older?.() ?? []), store()],
      link,
      {
        building,
        events,
        bodyOf: this.#options.bodyOf,
        readingsPerSecond: config.backfillPerSecond,
        inFlightMax: Math.floor(inFlightMax / 2),
        taken: (of) => (of === store() ? this.#live.taken : []),
      },
      AbortSignal.any([signal, stop.signal]),
    );
    try {
      // Not waited for: a cell that does not ack must not keep the agent from stopping.
      void this.#greet(link);
      await endOf(AbortSignal.any([signal, link.lost, this.#renewal.signal]));
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
      if (!this.#isHandedOver) await this.#tell(link, 'offline');
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
    return keptBytes(JSON.stringify({ state, at: new Date(this.#options.now()).toISOString() }));
  }

  async #sendAccount(): Promise<void> {
    await this.tellAccount();
  }

  /** Resolves to whether the cell has it. */
  async tellAccount(): Promise<boolean> {
    const link = this.#link;
    if (!link) return false;
    const { store, older, now, events } = this.#options;
    const stores = [store(), ...(older?.() ?? [])];
    const sources = stores.map((one) => one.account(now()));
    try {
      for (const message of accountMessages(accountOfStores(sources), messageBytesMax))
        await link.publish(this.#accountTopic, Buffer.from(JSON.stringify(message)));
      for (const [place, source] of sources.entries()) stores[place]?.told(source);
      return true;
    } catch (error) {
      // The next one says it again.
      events.accountFailed(error instanceof Error ? error.message : 'unknown');
      return false;
    }
  }

  /** One at a time and in order; what fails is sent at the next connection or with the next state. */
  async #sendStates(): Promise<void> {
    const { events } = this.#options;
    const commands = this.#commands;
    if (this.#sendingStates || !commands) return;
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
