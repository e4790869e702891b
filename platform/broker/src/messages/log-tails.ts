import type { ClientOptions } from '@domicile/kafka/client-options.ts';
import type { InputRecord } from '@domicile/kafka/records.ts';
import { TopicFollower } from '@domicile/kafka/topic-follower.ts';
import { TopicTree } from '@domicile/mqtt/topic-tree.ts';
import { CatchUp } from './catch-up.ts';
import { EndQuestion } from './end-question.ts';
import type { FeedMessage } from './feed.ts';
import { PartitionTail } from './partition-tail.ts';
import { begins, type Entry, type Reading, type Taker } from './reading.ts';

import type { Place, TopicPolicy } from './topic-policy.ts';

export interface LogTailsOptions {
  readonly client: ClientOptions;
  readonly policy: TopicPolicy;
  readonly fail: (error: unknown) => void;
  /** Each message as it comes, before anybody gets it. */
  readonly seen?: (message: FeedMessage) => void;
  /** Reading back failed and is tried again. */
  readonly troubled: (error: unknown) => void;
}

const ringBounds = { entriesMax: 2_000, bytesMax: 2_097_152 };
/** A tail that nobody reads is followed for this long. */
const idleMsMax = 30_000;
const sweepEveryMs = 5_000;

/**
 * The ends of the partitions that this replica's clients read, and everyone who reads there. Who keeps up is live and gets
 * each message as it comes; who does not leaves the tail, and comes back to it by his own way: from what is held in
 * memory, or by reading back, together with others who are behind.
 */
export class LogTails implements AsyncDisposable {
  readonly #options: LogTailsOptions;
  readonly #tails = new Map<string, PartitionTail>();
  readonly #entries = new TopicTree<Entry>();
  readonly #catchUps = new Map<PartitionTail, CatchUp>();
  readonly #ends: EndQuestion;
  readonly #sweeping: NodeJS.Timeout;
  #follower: TopicFollower | undefined;
  #waiting: (() => void)[] = [];
  #closed = false;

  static async start(options: LogTailsOptions): Promise<LogTails> {
    const tails = new LogTails(options);
    const { client, policy, fail } = options;
    tails.#follower = await TopicFollower.start({
      client,
      clientId: 'broker-messages',
      topics: [],
      isolation: policy.isolation,
      fail,
      onRecords: (records) => tails.#arrived(records),
    });
    await tails.follow(policy.always);
    return tails;
  }

  private constructor(options: LogTailsOptions) {
    this.#options = options;
    this.#ends = new EndQuestion(async (topic) => (await this.#follower?.ends(topic)) ?? []);
    this.#sweeping = setInterval(() => this.#sweep(), sweepEveryMs).unref();
  }

  tail(place: Place): PartitionTail {
    const known = this.#tails.get(place.key);
    if (known) return known;
    const tail = new PartitionTail(place, ringBounds);
    this.#tails.set(place.key, tail);
    return tail;
  }

  /** Resolves when all of them are followed: what comes from now on is seen. */
  async follow(places: readonly Place[]): Promise<void> {
    for (const place of places) this.tail(place).idleSinceMs = undefined;
    const missing = places.filter((place) => !this.tail(place).isFollowed);
    const byTopic = Map.groupBy(missing, ({ kafkaTopic }) => kafkaTopic);
    for (const [name, group] of byTopic) {
      const partitions = group.map(({ partition }) => partition);
      await this.#follower?.add({ name, partitions, from: 'latest' });
      for (const place of group) this.#begin(this.tail(place));
    }
  }

  /**
   * Resolves when all that stood in these places at the time of the call has been seen, so that what comes next is new.
   */
  async atEnd(places: readonly Place[]): Promise<void> {
    await this.follow(places);
    const ends = await this.#ends.ask(places.map(({ kafkaTopic }) => kafkaTopic));
    const wanted = places.map((place) => ({
      tail: this.tail(place),
      end: Number(ends.get(place.kafkaTopic)?.[place.partition] ?? 0n),
    }));
    const isThere = () => wanted.every(({ tail, end }) => this.#reached(tail) >= end);
    const deadlineMs = performance.now() + atEndTimeoutMs;
    while (!isThere()) {
      if (this.#closed || performance.now() > deadlineMs)
        throw new Error('Cannot tell where the log ends: its end was not reached in time');
      await this.#progress();
    }
  }

  add(entry: Entry): void {
    this.#entries.add(entry.subscription.filter, entry);
  }

  remove(entry: Entry): void {
    this.#entries.remove(entry.subscription.filter, entry);
  }

  /** It reads from its cursor on; the place has to be followed, or to be followed soon. */
  join(reading: Reading): void {
    reading.tail.readings.add(reading);
    reading.tail.idleSinceMs = undefined;
    reading.isLive = false;
    this.goOn(reading);
  }

  /** It reads no more; its cursor stays. */
  leave(reading: Reading): void {
    const { tail, cursor } = reading;
    if (reading.isLive) cursor.reach(tail.next);
    reading.isLive = false;
    tail.readings.delete(reading);
    this.#catchUps.get(tail)?.forget(reading);
    if (tail.readings.size === 0) tail.idleSinceMs = performance.now();
  }

  /**
   * Gives a reading that is behind what it lacks, until it is live, its taker is full, or it has to be read back.
   * @returns false if the taker is full.
   */
  goOn(reading: Reading): boolean {
    const { tail, cursor } = reading;
    if (reading.isLive || !tail.isFollowed || !tail.readings.has(reading)) return true;
    while (cursor.at < tail.next) {
      if (cursor.at < tail.heldFrom) {
        this.#catchUp(tail).want(reading);
        return true;
      }
      const message = tail.since(cursor.at);
      if (!message) cursor.reach(tail.next);
      else if (!give(reading, message)) return false;
    }
    reading.isLive = true;
    return true;
  }

  /** It is to be given something again: it leaves the tail, and `goOn` brings it back. */
  stepBack(reading: Reading): void {
    this.settleCursor(reading);
    reading.isLive = false;
  }

  /** The cursor of a live reading is where the tail is. */
  settleCursor({ isLive, tail, cursor }: Reading): void {
    if (isLive) cursor.reach(tail.next);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    clearInterval(this.#sweeping);
    for (const catchUp of this.#catchUps.values()) catchUp.close();
    await this.#follower?.[Symbol.asyncDispose]();
    this.#wake();
  }

  #begin(tail: PartitionTail): void {
    if (tail.isFollowed) return;
    const { kafkaTopic, partition } = tail.place;
    tail.begin(Number(this.#follower?.position(kafkaTopic, partition) ?? 0n));
    for (const reading of tail.readings) this.goOn(reading);
  }

  #arrived(records: readonly InputRecord[]): void {
    const { policy } = this.#options;
    for (const record of records) {
      const place = policy.place(record.topic, record.partition);
      const tail = place && this.tail(place);
      if (!tail) continue;
      if (!tail.isFollowed) this.#begin(tail);
      const message = policy.read(record);
      if (message) this.#spread(tail, message);
      else tail.reach(Number(record.offset) + 1);
    }
    this.#wake();
  }

  #spread(tail: PartitionTail, message: FeedMessage): void {
    this.#options.seen?.(message);
    const { place, offset } = message;
    const takers = new Map<Taker, Entry[]>();
    for (const entry of this.#entries.match(message.topic)) {
      const reading = entry.taker.readings.get(place);
      if (!reading?.isLive || !begins(entry, place, offset)) continue;
      const entries = takers.get(entry.taker);
      if (entries) entries.push(entry);
      else takers.set(entry.taker, [entry]);
    }
    for (const [taker, entries] of takers) {
      const reading = taker.readings.get(place);
      if (!reading || taker.take(reading, message, entries) !== 'full') continue;
      reading.cursor.reach(offset);
      reading.isLive = false;
    }
    tail.hold(message);
  }

  #catchUp(tail: PartitionTail): CatchUp {
    const known = this.#catchUps.get(tail);
    if (known) return known;
    const { client, policy, troubled } = this.#options;
    const catchUp = new CatchUp({
      client,
      tail,
      read: (record) => policy.read(record),
      isolation: policy.isolation,
      give,
      joined: (reading) => this.goOn(reading),
      troubled,
    });
    this.#catchUps.set(tail, catchUp);
    return catchUp;
  }

  /** Markers of transactions are passed without a record. */
  #reached(tail: PartitionTail): number {
    const { kafkaTopic, partition } = tail.place;
    tail.reach(Number(this.#follower?.position(kafkaTopic, partition) ?? 0n));
    return tail.next;
  }

  async #progress(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiting.push(resolve);
    const timer = setTimeout(resolve, progressPollMs);
    await promise;
    clearTimeout(timer);
  }

  #wake(): void {
    const waiting = this.#waiting;
    if (waiting.length === 0) return;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }

  /** What nobody reads any more is followed no more. */
  #sweep(): void {
    const always = new Set(this.#options.policy.always.map(({ key }) => key));
    const beforeMs = performance.now() - idleMsMax;
    for (const tail of this.#tails.values()) {
      const { place, idleSinceMs, readings } = tail;
      if (readings.size > 0 || always.has(place.key)) continue;
      if (idleSinceMs === undefined || idleSinceMs > beforeMs) continue;
      this.#follower?.remove(place.kafkaTopic, place.partition);
      tail.end();
      this.#tails.delete(place.key);
      this.#catchUps.get(tail)?.close();
      this.#catchUps.delete(tail);
    }
  }
}

const atEndTimeoutMs = 10_000;
const progressPollMs = 5;

/** @returns false if its taker is full; the cursor then stays where it is. */
function give(reading: Reading, message: FeedMessage): boolean {
  const { taker, cursor } = reading;
  const { place, offset, topic } = message;
  if (offset >= cursor.at && cursor.wants(offset)) {
    const entries = taker.entriesOf(topic).filter((entry) => begins(entry, place, offset));
    if (entries.length > 0 && taker.take(reading, message, entries) === 'full') {
      cursor.reach(offset);
      return false;
    }
  }
  cursor.reach(offset + 1);
  return true;
}
