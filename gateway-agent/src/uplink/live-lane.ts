import type { BuildingId } from '@domicile/core/identities.ts';
import { parseDeviceId } from '@domicile/core/identities.ts';
import { topicText } from '@domicile/core/topics.ts';
import type { AgentEvents } from '../events.ts';
import { type Ranges, addRange } from '../model/ranges.ts';
import type { StoredRecord } from '../model/record.ts';
import type { Store } from '../store/store.ts';
import { type Link, MessageRefused } from './link.ts';

/** Records that wait for their turn; above it they are left to the backlog. */
const waitingMax = 2000;

export interface LiveLaneOptions {
  readonly store: () => Store;
  readonly building: BuildingId;
  readonly events: AgentEvents;
  /** What is sent of a record; without a time it goes as it is, and the cell's receipt is its time. */
  readonly bodyOf: (record: StoredRecord) => Buffer | undefined;
}

/**
 * Sends what the store has just kept, one message a reading, in order. What it cannot send stays unsent in
 * the store and becomes backlog: nothing here has to be remembered.
 */
export class LiveLane {
  readonly #options: LiveLaneOptions;
  readonly #inFlight = new Set<number>();
  #link: Link | undefined;
  #inFlightMax = 0;
  #waiting: StoredRecord[] = [];
  #idle: (() => void)[] = [];

  constructor(options: LiveLaneOptions) {
    this.#options = options;
  }

  /** Takes the link over until it is lost. */
  attach(link: Link, inFlightMax: number): void {
    this.#link = link;
    this.#inFlightMax = inFlightMax;
    link.lost.addEventListener('abort', () => {
      if (this.#link !== link) return;
      this.#link = undefined;
      this.#waiting = [];
    });
  }

  /** Takes nothing more; what waits goes out. */
  seal(): void {
    this.#inFlightMax = Math.max(this.#inFlightMax, 1);
    this.#sealed = true;
  }

  #sealed = false;

  offer(records: readonly StoredRecord[]): void {
    if (!this.#link || this.#sealed) return;
    for (const record of records)
      if (record.lane === 'live' && this.#waiting.length < waitingMax)
        this.#waiting.push({ ...record, body: Buffer.from(record.body) });
    this.#pump();
  }

  /** What this lane has taken on; the backlog leaves it alone. */
  get taken(): Ranges {
    const indices = [...this.#inFlight, ...this.#waiting.map(({ index }) => index)];
    return indices.reduce<Ranges>(
      (sum, index) => addRange(sum, { from: index, to: index + 1 }),
      [],
    );
  }

  /** Resolves when nothing waits or is in flight. */
  async idle(): Promise<void> {
    if (this.#waiting.length === 0 && this.#inFlight.size === 0) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#idle.push(resolve);
    await promise;
  }

  #pump(): void {
    while (this.#link && this.#inFlight.size < this.#inFlightMax) {
      const record = this.#waiting.shift();
      if (!record) break;
      if (!this.#options.store().dropIfOrdered(record)) void this.#send(this.#link, record);
    }
    if (this.#waiting.length > 0 || this.#inFlight.size > 0) return;
    for (const resolve of this.#idle) resolve();
    this.#idle = [];
  }

  async #send(link: Link, record: StoredRecord): Promise<void> {
    const { index, device, body } = record;
    const { store, building, events, bodyOf } = this.#options;
    const from = performance.now();
    const topic = topicText({
      kind: 'telemetry',
      building,
      device: parseDeviceId(device),
    });
    this.#inFlight.add(index);
    try {
      await link.publish(topic, bodyOf(record) ?? body);
      store().sent([index]);
      const seconds = (performance.now() - from) / 1000;
      events.messageSent({ lane: 'live', readings: 1, seconds });
    } catch (error) {
      if (error instanceof MessageRefused)
        events.messageRefused({ lane: 'live', device, reasonCode: error.reasonCode });
    } finally {
      this.#inFlight.delete(index);
      this.#pump();
    }
  }
}
