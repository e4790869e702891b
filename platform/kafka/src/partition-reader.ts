/** Reads the assigned partitions of one group generation ahead into bounded queues. A new generation takes a new reader. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Consumer, fetchV17 } from '@platformatic/kafka';
import { committedBatches, nextOffset } from './committed-records.ts';
import { apiError } from './errors.ts';
import { type InputRecord, ReadRecord } from './records.ts';
import type { CommittedOffset } from './transactional-producer.ts';

interface Cursor {
  readonly topic: string;
  readonly partition: number;
  /** Where the next fetch begins; records before it are in the queue or taken. */
  fetchOffset: bigint;
  /** -1 while the group has none for it: the first commit then says where it stands. */
  committedOffset: bigint;
  /** As of the last fetch; -1 before it. */
  highWatermark: bigint;
  queue: InputRecord[];
  taken: number;
}

const FETCH_WAIT_MS = 250;
const FETCH_BYTES_MAX = 4 << 20;
const PARTITION_BYTES_MAX = 256 << 10;

/** Where to begin. `isCommitted` false: the group has committed nothing for it yet. */
export interface ReadPosition extends CommittedOffset {
  readonly isCommitted?: boolean;
}

export class PartitionReader {
  readonly #fetcher: Consumer;
  #cursors: readonly Cursor[];
  #topics: readonly string[];
  readonly #queueRecordsMax: number;
  readonly #isolationLevel: 0 | 1;
  readonly #nodes = new Set<number>();
  #arrival = Promise.withResolvers<void>();
  #failure: Error | undefined;
  #closed = false;

  /** `fetcher` is a Consumer that never joins; its fetch sessions allow one reader at a time. */
  constructor(
    fetcher: Consumer,
    positions: readonly ReadPosition[],
    { queueRecordsMax, isolationLevel = 1 }: { queueRecordsMax: number; isolationLevel?: 0 | 1 },
  ) {
    this.#fetcher = fetcher;
    this.#queueRecordsMax = queueRecordsMax;
    this.#isolationLevel = isolationLevel;
    this.#cursors = positions.map(cursorAt);
    this.#topics = topicsOf(this.#cursors);
    void this.#schedule();
  }

  /** Reads these too, from the next fetch on. A partition that is read already goes on from where it is. */
  add(positions: readonly ReadPosition[]): void {
    const added = positions.filter(
      ({ topic, partition }) => this.#cursor(topic, partition) === undefined,
    );
    this.#cursors = [...this.#cursors, ...added.map(cursorAt)];
    this.#topics = topicsOf(this.#cursors);
  }

  /** Reads this no more; what waits of it is dropped. */
  remove(topic: string, partition: number): void {
    this.#cursors = this.#cursors.filter((cursor) => !isAt(cursor, topic, partition));
    this.#topics = topicsOf(this.#cursors);
    this.#notify();
  }

  get buffered(): number {
    return this.#cursors.reduce((sum, cursor) => sum + waiting(cursor), 0);
  }

  /** Resolves when `records` are waiting, or at `deadline` (as of Date.now()); rejects when reading cannot go on. */
  async until(records: number, deadline: number): Promise<void> {
    while (this.buffered < records && !this.#closed) {
      if (this.#failure !== undefined) throw this.#failure;
      const left = deadline - Date.now();
      if (left <= 0) return;
      const timer = new AbortController();
      await Promise.race([
        this.#arrival.promise,
        sleep(Math.min(left, 1_000), undefined, { signal: timer.signal }).catch(() => {}),
      ]);
      timer.abort();
    }
  }

  /** The oldest waiting records of a topic, evenly from its partitions, in offset order within each. */
  take(topic: string, recordsMax: number): InputRecord[] {
    const cursors = this.#cursors
      .filter((cursor) => cursor.topic === topic)
      .toSorted((a, b) => waiting(a) - waiting(b));
    const records: InputRecord[] = [];
    for (const [index, cursor] of cursors.entries()) {
      const share = Math.ceil((recordsMax - records.length) / (cursors.length - index));
      for (const record of cursor.queue.slice(cursor.taken, cursor.taken + share))
        records.push(record);
      cursor.taken = Math.min(cursor.taken + share, cursor.queue.length);
    }
    return records;
  }

  /** What to commit for all that was taken, markers and aborted records behind it included. */
  offsets(): CommittedOffset[] {
    return this.#cursors
      .map((cursor) => ({
        topic: cursor.topic,
        partition: cursor.partition,
        offset: cursor.queue[cursor.taken]?.offset ?? cursor.fetchOffset,
        cursor,
      }))
      .filter(({ offset, cursor }) => offset !== cursor.committedOffset)
      .map(({ topic, partition, offset }) => ({ topic, partition, offset }));
  }

  committed(offsets: readonly CommittedOffset[]): void {
    for (const { topic, partition, offset } of offsets) {
      const cursor = this.#cursor(topic, partition);
      if (cursor === undefined) continue;
      cursor.committedOffset = offset;
      cursor.queue = cursor.queue.slice(cursor.taken);
      cursor.taken = 0;
    }
  }

  /** The next offset that `take` gives, or would give. */
  position(topic: string, partition: number): bigint {
    const cursor = this.#cursor(topic, partition);
    return cursor === undefined ? -1n : (cursor.queue[cursor.taken]?.offset ?? cursor.fetchOffset);
  }

  /** Offsets between what was taken and the end as last seen, over all partitions. */
  lagRecords(): number {
    return this.#cursors.reduce((sum, cursor) => {
      const at = cursor.queue[cursor.taken]?.offset ?? cursor.fetchOffset;
      return cursor.highWatermark > at ? sum + Number(cursor.highWatermark - at) : sum;
    }, 0);
  }

  close(): void {
    this.#closed = true;
    this.#notify();
  }

  async #schedule(): Promise<void> {
    while (!this.#closed && this.#failure === undefined) {
      try {
        const leaders = new Set((await this.#leaders()).values());
        const idle = [...leaders].filter((node) => !this.#nodes.has(node));
        for (const node of idle) void this.#pump(node);
      } catch {
        this.#fetcher.clearMetadata();
      }
      await sleep(200);
    }
  }

  /** One fetch at a time per leader; ends when this node leads nothing or fails, and #schedule looks again. */
  async #pump(node: number): Promise<void> {
    this.#nodes.add(node);
    try {
      while (!this.#closed) {
        const leaders = await this.#leaders();
        const led = this.#cursors.filter((cursor) => leaders.get(cursor) === node);
        if (led.length === 0) return;
        const hungry = led.filter((cursor) => waiting(cursor) < this.#queueRecordsMax);
        if (hungry.length === 0) await sleep(2);
        else await this.#fetch(node, hungry);
      }
    } catch (error) {
      if (apiError(error, 'OFFSET_OUT_OF_RANGE', 'TOPIC_AUTHORIZATION_FAILED'))
        this.#failure = error instanceof Error ? error : new Error(String(error)); // a gap is not for us to skip
      else this.#fetcher.clearMetadata();
      this.#notify();
      await sleep(100);
    } finally {
      this.#nodes.delete(node);
    }
  }

  async #leaders(): Promise<ReadonlyMap<Cursor, number>> {
    if (this.#topics.length === 0) return new Map();
    const { topics } = await this.#fetcher.metadata({ topics: [...this.#topics] });
    const leaderOf = ({ topic, partition }: Cursor): number =>
      topics.get(topic)?.partitions[partition]?.leader ?? -1;
    return new Map(this.#cursors.map((cursor) => [cursor, leaderOf(cursor)]));
  }

  async #fetch(node: number, cursors: readonly Cursor[]): Promise<void> {
    const names = topicsOf(cursors);
    const { topics } = await this.#fetcher.metadata({ topics: [...names] });
    const idOf = (topic: string): string => topics.get(topic)?.id ?? '';
    const nameOf = new Map(names.map((name) => [idOf(name), name]));
    const response = await this.#fetcher.fetch({
      node,
      maxWaitTime: FETCH_WAIT_MS,
      minBytes: 1,
      maxBytes: FETCH_BYTES_MAX,
      isolationLevel: this.#isolationLevel,
      topics: [...Map.groupBy(cursors, ({ topic }) => topic)].map(([topic, group]) => ({
        topicId: idOf(topic),
        partitions: group.map(fetchRequest),
      })),
    });
    if (this.#closed) return;
    for (const { topicId, partitions } of response.responses) {
      const topic = nameOf.get(topicId) ?? '';
      for (const partition of partitions) {
        const cursor = cursors.find((one) => isAt(one, topic, partition.partitionIndex));
        // Removed meanwhile; one that was added anew begins elsewhere.
        if (cursor === undefined || !this.#cursors.includes(cursor)) continue;
        cursor.highWatermark = partition.highWatermark;
        if (partition.records?.length) append(cursor, partition, this.#isolationLevel);
      }
    }
    this.#notify();
  }

  #cursor(topic: string, partition: number): Cursor | undefined {
    return this.#cursors.find((cursor) => isAt(cursor, topic, partition));
  }

  #notify(): void {
    this.#arrival.resolve();
    this.#arrival = Promise.withResolvers();
  }
}

function cursorAt({ topic, partition, offset, isCommitted = true }: ReadPosition): Cursor {
  return {
    topic,
    partition,
    fetchOffset: offset,
    committedOffset: isCommitted ? offset : -1n,
    highWatermark: -1n,
    queue: [],
    taken: 0,
  };
}

function isAt(cursor: Cursor, topic: string, partition: number): boolean {
  return cursor.partition === partition && cursor.topic === topic;
}

function topicsOf(cursors: readonly Cursor[]): readonly string[] {
  return [...new Set(cursors.map(({ topic }) => topic))];
}

function waiting(cursor: Cursor): number {
  return cursor.queue.length - cursor.taken;
}

function fetchRequest({ partition, fetchOffset }: Cursor): fetchV17.FetchRequestPartition {
  return {
    partition,
    fetchOffset,
    partitionMaxBytes: PARTITION_BYTES_MAX,
    currentLeaderEpoch: -1,
    lastFetchedEpoch: -1,
  };
}

const CONTROL = 0x20;

function append(
  cursor: Cursor,
  answer: fetchV17.FetchResponsePartition,
  isolationLevel: 0 | 1,
): void {
  const { topic, partition } = cursor;
  const batches =
    isolationLevel === 1
      ? committedBatches(answer)
      : (answer.records ?? []).filter(({ attributes }) => !(attributes & CONTROL));
  for (const batch of batches) {
    for (const { offsetDelta, timestampDelta, key, value, headers } of batch.records) {
      const offset = batch.firstOffset + BigInt(offsetDelta);
      if (offset < cursor.fetchOffset) continue; // the broker sends whole batches
      const timestampMs = Number(batch.firstTimestamp + timestampDelta);
      const headerPairs = headers;
      cursor.queue.push(
        new ReadRecord({ topic, partition, offset, timestampMs, key, value, headerPairs }),
      );
    }
  }
  const last = answer.records?.at(-1);
  if (last !== undefined && nextOffset(last) > cursor.fetchOffset)
    cursor.fetchOffset = nextOffset(last);
}
