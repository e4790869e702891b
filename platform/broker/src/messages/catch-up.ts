import { setTimeout as wait } from 'node:timers/promises';
import type { ClientOptions } from '@domicile/kafka/client-options.ts';
import { apiError } from '@domicile/kafka/errors.ts';
import type { InputRecord } from '@domicile/kafka/records.ts';
import { beginOffsets, readRange } from '@domicile/kafka/topic-follower.ts';
import type { FeedMessage } from './feed.ts';
import type { PartitionTail } from './partition-tail.ts';
import type { Reading } from './reading.ts';
import { Slots } from './slots.ts';

export interface CatchUpOptions {
  readonly client: ClientOptions;
  readonly tail: PartitionTail;
  readonly isolation: 'committed' | 'uncommitted';
  readonly read: (record: InputRecord) => FeedMessage | undefined;
  /** False: the reading's taker is full. */
  readonly give: (reading: Reading, message: FeedMessage) => boolean;
  /** What it lacks now is held in memory. */
  readonly joined: (reading: Reading) => void;
  readonly troubled: (error: unknown) => void;
}

/** What was read last: those who were full come back to it. */
interface Chunk {
  readonly from: number;
  readonly end: number;
  readonly messages: readonly FeedMessage[];
}

/** Then whoever is furthest back is looked for anew, so that nobody waits for long. */
const chunksMax = 16;
const retryDelayMs = 500;
const chunkBytesMax = 1 << 20;
/** A chunk is held for those who are full for so long. */
const pauseMsMax = 1_000;
/** Partitions that are read back at a time, by the whole process: each holds some megabytes. */
const slots = new Slots(8);

/** Reads a partition back for all who are behind in it, once for all of them. */
export class CatchUp {
  readonly #options: CatchUpOptions;
  /** Those who are not full. */
  readonly #waiting = new Set<Reading>();
  #running = false;
  #closed = false;
  #wake: (() => void) | undefined;

  constructor(options: CatchUpOptions) {
    this.#options = options;
  }

  want(reading: Reading): void {
    this.#waiting.add(reading);
    this.#wake?.();
    if (!this.#running) void this.#run();
  }

  forget(reading: Reading): void {
    this.#waiting.delete(reading);
  }

  close(): void {
    this.#closed = true;
    this.#waiting.clear();
    this.#wake?.();
  }

  async #run(): Promise<void> {
    this.#running = true;
    // Those who come in the same turn are served together.
    await Promise.resolve();
    while (this.#waiting.size > 0 && !this.#closed) {
      const release = await slots.take();
      try {
        await this.#readOn();
      } catch (error) {
        // What was cut off meanwhile is found by the next attempt.
        if (!apiError(error, 'OFFSET_OUT_OF_RANGE')) this.#options.troubled(error);
        await wait(retryDelayMs, undefined, { ref: false });
      } finally {
        release();
      }
    }
    this.#running = false;
  }

  /** From whoever is furthest back to where the tail was. */
  async #readOn(): Promise<void> {
    const { client, tail, isolation } = this.#options;
    const { kafkaTopic: topic, partition } = tail.place;
    const begin = Number((await beginOffsets({ client, topic }))[partition] ?? 0n);
    this.#skip(Math.min(begin, tail.heldFrom));
    this.#join();
    const from = Math.min(...[...this.#waiting].map(({ cursor }) => cursor.at));
    const to = tail.next;
    if (!(from < to)) return;
    let chunk: Chunk = { from, end: from, messages: [] };
    const range = { client, topic, partition, isolation, bytesMax: chunkBytesMax };
    let chunks = 0;
    for await (const records of readRange({ ...range, from: BigInt(from), to: BigInt(to) })) {
      chunk = this.#chunkOf(records, chunk.end);
      await this.#serve(chunk);
      chunks += 1;
      if (chunks >= chunksMax || !this.#isAnybodyAt(chunk.end)) return;
    }
    // Nothing is left of the rest: it was aborted, or compacted away.
    await this.#serve({ from: chunk.end, end: to, messages: [] });
  }

  #chunkOf(records: readonly InputRecord[], from: number): Chunk {
    const last = records.at(-1);
    const end = last ? Number(last.offset) + 1 : from;
    return { from, end, messages: records.flatMap((record) => this.#options.read(record) ?? []) };
  }

  /** Gives the chunk to all who stand in it, also to those who are full and come back soon. */
  async #serve(chunk: Chunk): Promise<void> {
    for (;;) {
      const isHeldUp = this.#giveTo(chunk);
      if (!isHeldUp || this.#waiting.size > 0 || this.#closed) return;
      await this.#pause();
      if (this.#waiting.size === 0) return;
    }
  }

  /** @returns whether somebody was full. */
  #giveTo({ from, end, messages }: Chunk): boolean {
    let isHeldUp = false;
    for (const reading of this.#waiting) {
      const { cursor } = reading;
      if (cursor.at < from || cursor.at >= end) continue;
      if (messages.every((message) => this.#options.give(reading, message))) {
        cursor.reach(end);
        continue;
      }
      this.#waiting.delete(reading);
      isHeldUp = true;
    }
    this.#join();
    return isHeldUp;
  }

  async #pause(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#wake = resolve;
    const timer = setTimeout(resolve, pauseMsMax);
    await promise;
    clearTimeout(timer);
    this.#wake = undefined;
  }

  #isAnybodyAt(position: number): boolean {
    return this.#waiting.values().some(({ cursor }) => cursor.at === position);
  }

  #join(): void {
    const { tail, joined } = this.#options;
    for (const reading of this.#waiting) {
      if (reading.cursor.at < tail.heldFrom) continue;
      this.#waiting.delete(reading);
      joined(reading);
    }
  }

  #skip(oldest: number): void {
    for (const reading of this.#waiting) {
      const { cursor, taker } = reading;
      if (cursor.at >= oldest) continue;
      taker.missed(reading, cursor.at, oldest);
      cursor.reach(oldest);
    }
  }
}
