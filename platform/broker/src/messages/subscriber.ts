import type { Delivery, Session, Subscription } from '@domicile/mqtt/owner.ts';
import { filterTakes } from '@domicile/mqtt/topic-filters.ts';
import { Cursor, type KeptPosition } from '../model/messages/cursor.ts';
import type { FeedMessage, FeedState } from './feed.ts';
import type { PartitionTail } from './partition-tail.ts';
import type { Entry, Reading, Taker } from './reading.ts';

/** What a subscriber tells its feed. */
export interface SubscriberHost {
  /** Something was settled or skipped: there is more to keep. */
  moved(key: string): void;
  delivered(delivery: Delivery): void;
  missed(
    key: string,
    missing: { readonly place: string; readonly from: number; readonly to: number },
  ): void;
}

/** What one session has been given and not settled, of one partition; above it the partition waits. */
const unsettledMax = 2_000;

/** A session as a reader of the log. */
export class Subscriber<Identity> implements Taker {
  readonly key: string;
  readonly readings = new Map<string, Reading>();
  /** By the name of their subscription. */
  readonly entries = new Map<string, Entry>();
  readonly #host: SubscriberHost;
  /** Readings whose client has too much unsettled. */
  readonly #stuffed = new Set<Reading>();
  /** While it has a connection. */
  session: Session<Identity> | undefined;
  /** The one it was opened for last. */
  of: Session<Identity> | undefined;
  /** Names of subscriptions whose retained messages are not all delivered. */
  readonly retainedDue = new Set<string>();
  #kept: FeedState | undefined;
  #inFlight: ReadonlySet<string> = new Set();

  constructor(key: string, host: SubscriberHost) {
    this.key = key;
    this.#host = host;
  }

  /** What was kept elsewhere; it counts until the session has its subscriptions. */
  resume(state: FeedState, inFlight: ReadonlySet<string>): void {
    this.#kept = state;
    this.#inFlight = inFlight;
    for (const name of state.retainedDue ?? []) this.retainedDue.add(name);
  }

  /** The first offset of a kept subscription in each place. */
  keptFrom(name: string): Map<string, number> {
    return new Map(Object.entries(this.#kept?.from?.[name] ?? {}));
  }

  /** Where it stands in a place, made if it is new there: then it begins at the end. */
  reading(tail: PartitionTail): { readonly reading: Reading; readonly isNew: boolean } {
    const { key } = tail.place;
    const known = this.readings.get(key);
    if (known) return { reading: known, isNew: false };
    const position: KeptPosition = this.#kept?.positions[key] ?? { next: tail.next };
    const isInFlight = (offset: number) => this.#inFlight.has(`${key}/${offset}`);
    const cursor = new Cursor(position, isInFlight);
    const reading = { taker: this, tail, cursor, isLive: false, quietBefore: 0 };
    this.readings.set(key, reading);
    return { reading, isNew: true };
  }

  forgetKept(): void {
    this.#kept = undefined;
    this.#inFlight = new Set();
  }

  entriesOf(topic: string): readonly Entry[] {
    return this.entries
      .values()
      .filter(({ subscription }) => filterTakes(subscription.filter, topic))
      .toArray();
  }

  take(
    reading: Reading,
    message: FeedMessage,
    entries: readonly Entry[],
  ): 'taken' | 'full' | 'skipped' {
    const { session } = this;
    if (!session) return 'full';
    const matching: Subscription[] = [];
    let qos = 0;
    for (const { subscription } of entries) {
      if (subscription.noLocal && message.publisher === this.key) continue;
      matching.push(subscription);
      if (subscription.qos > qos) qos = subscription.qos;
    }
    if (matching.length === 0) return 'skipped';
    const { offset, outbound } = message;
    if (offset < reading.quietBefore && Math.min(qos, message.qos) === 0) return 'skipped';
    if (message.expiresAtMs !== undefined && message.expiresAtMs <= Date.now()) return 'skipped';
    if (reading.cursor.unsettled >= unsettledMax) {
      this.#stuffed.add(reading);
      return 'full';
    }
    const settled = (delivery: Delivery) => this.#settled(reading, offset, delivery);
    if (!session.offer(outbound, matching, settled)) return 'full';
    reading.cursor.give(offset);
    return 'taken';
  }

  missed({ tail }: Reading, from: number, to: number): void {
    this.#host.missed(this.key, { place: tail.place.key, from, to });
  }

  /** Readings that may go on after something was settled. */
  relieved(): readonly Reading[] {
    if (this.#stuffed.size === 0) return [];
    const relieved = [...this.#stuffed].filter(({ cursor }) => cursor.unsettled < unsettledMax / 2);
    for (const reading of relieved) this.#stuffed.delete(reading);
    return relieved;
  }

  /** To be kept; readings are where their cursors are. */
  state(): FeedState {
    const readings = [...this.readings];
    const positions = { ...this.#kept?.positions };
    for (const [place, { cursor }] of readings) positions[place] = cursor.position();
    const from: Record<string, Record<string, number>> = { ...this.#kept?.from };
    for (const [name, entry] of this.entries) {
      const ahead = [...entry.from].filter(
        ([place, offset]) => offset > (this.readings.get(place)?.cursor.lowest ?? 0),
      );
      if (ahead.length > 0) from[name] = Object.fromEntries(ahead);
      else delete from[name];
    }
    return {
      positions,
      ...(Object.keys(from).length > 0 && { from }),
      ...(this.retainedDue.size > 0 && { retainedDue: [...this.retainedDue] }),
    };
  }

  #settled({ cursor }: Reading, offset: number, delivery: Delivery): void {
    this.#host.delivered(delivery);
    // The session may live on elsewhere, where it is to be given this again.
    if (delivery === 'session-ended') return;
    cursor.settle(offset);
    this.#host.moved(this.key);
  }
}
