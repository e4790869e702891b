import { setTimeout as sleep } from 'node:timers/promises';
import type { Consumer, fetchV17 } from '@platformatic/kafka';
import type { ClientOptions } from './client-options.ts';
import { committedBatches, nextOffset } from './committed-records.ts';
import { apiError, platformErrorOf, refusals, StalledError } from './errors.ts';
import { FetchingConsumer } from './fetching-consumer.ts';
import { PartitionReader } from './partition-reader.ts';
import { type InputRecord, ReadRecord } from './records.ts';

/** A topic to follow, all of its partitions or some. */
export interface FollowedTopic {
  readonly name: string;
  readonly partitions?: readonly number[];
  /** Where to begin; of a map, partitions that it lacks begin at the earliest. */
  readonly from: 'earliest' | 'latest' | ReadonlyMap<number, bigint>;
}

export interface TopicFollowerOptions {
  readonly client: ClientOptions;
  readonly clientId: string;
  readonly topics: readonly FollowedTopic[];
  /** Records of a partition come in order. The next ones wait until it has resolved. */
  readonly onRecords: (records: readonly InputRecord[]) => void | Promise<void>;
  /** It ended by itself: a right is missing, `onRecords` threw, or the log was cut before it. */
  readonly fail: (error: unknown) => void;
  readonly isolation?: 'committed' | 'uncommitted';
  /** Records read ahead for each partition. */
  readonly queueRecordsMax?: number;
}

const takeRecordsMax = 5_000;
const waitMs = 1_000;
const retryDelayMs = 200;
const clientRetries = {
  retries: 20,
  retryDelay: 200,
  connectTimeout: 2_000,
  requestTimeout: 10_000,
};

interface Begin {
  readonly topic: string;
  readonly partition: number;
  readonly offset: bigint;
  /** Behind the last record that was there. */
  readonly end: bigint;
}

/**
 * Reads partitions without a group, for ever: nothing is committed, and any number may follow. What is followed may change
 * while it runs.
 */
export class TopicFollower {
  readonly #options: TopicFollowerOptions;
  readonly #consumer: Consumer;
  #asking: Consumer | undefined;
  readonly #caughtUp = Promise.withResolvers<void>();
  #reader: PartitionReader | undefined;
  #ends: { topic: string; partition: number; end: bigint }[] = [];
  #handled = new Map<string, bigint>();
  #names: readonly string[];
  readonly #isolationLevel: 0 | 1;
  #ended: Promise<void> | undefined;
  #closed = false;

  static async start(options: TopicFollowerOptions): Promise<TopicFollower> {
    const follower = new TopicFollower(options);
    await follower.#open();
    return follower;
  }

  private constructor(options: TopicFollowerOptions) {
    this.#options = options;
    this.#names = options.topics.map(({ name }) => name);
    this.#isolationLevel = options.isolation === 'uncommitted' ? 0 : 1;
    this.#consumer = followingConsumer(options.client, options.clientId);
    this.#caughtUp.promise.catch(() => {});
  }

  /** Resolves when everything has been handled that was there at the start. */
  get caughtUp(): Promise<void> {
    return this.#caughtUp.promise;
  }

  /**
   * Follows these too, from then on. Partitions that are followed already go on from where they are.
   * @returns where each added partition begins: not before what retention has left.
   */
  async add(followed: FollowedTopic): Promise<ReadonlyMap<number, bigint>> {
    const positions = (await this.#asked([followed])).filter(
      ({ topic, partition }) => !this.#handled.has(`${topic}:${partition}`),
    );
    this.#begin(positions);
    this.#reader?.add(positions);
    return new Map(positions.map(({ partition, offset }) => [partition, offset]));
  }

  /** Follows this no more: `onRecords` sees nothing of it after the call it may be in. */
  remove(topic: string, partition: number): void {
    this.#handled.delete(`${topic}:${partition}`);
    this.#reader?.remove(topic, partition);
  }

  /**
   * The offset behind the last record of each partition of a topic now, open transactions included. Asked by connections
   * kept for it: on those that read, the question would stand behind a fetch that waits for records.
   */
  async ends(topic: string): Promise<readonly bigint[]> {
    const { client, clientId } = this.#options;
    this.#asking ??= followingConsumer(client, `${clientId}-ends`);
    this.#asking.topics.track(topic);
    try {
      return await offsetsAt(this.#asking, { topic, timestamp: -1n, isolationLevel: 0 });
    } catch (error) {
      throw platformErrorOf(error, `ask where ${topic} ends`);
    }
  }

  /** The next offset that `onRecords` has not seen. */
  position(topic: string, partition: number): bigint {
    return this.#handled.get(`${topic}:${partition}`) ?? -1n;
  }

  /** Offsets between what was handled and the end as last seen. */
  lagRecords(): number {
    return this.#reader?.lagRecords() ?? 0;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    this.#reader?.close();
    await this.#ended;
    this.#caughtUp.reject(new StalledError('The follower was closed'));
    await this.#consumer.close(true).catch(() => {});
    await this.#asking?.close(true).catch(() => {});
  }

  async #open(): Promise<void> {
    const { topics, queueRecordsMax = takeRecordsMax } = this.#options;
    try {
      const positions = await this.#asked(topics);
      this.#ends = positions.map(({ topic, partition, end }) => ({ topic, partition, end }));
      this.#begin(positions);
      this.#reader = new PartitionReader(this.#consumer, positions, {
        queueRecordsMax,
        isolationLevel: this.#isolationLevel,
      });
      this.#ended = this.#follow(this.#reader);
    } catch (error) {
      await this.#consumer.close(true).catch(() => {});
      throw error;
    }
  }

  async #asked(topics: readonly FollowedTopic[]): Promise<readonly Begin[]> {
    try {
      const positions: Begin[] = [];
      for (const followed of topics) positions.push(...(await this.#positionsOf(followed)));
      return positions;
    } catch (error) {
      throw platformErrorOf(error, `follow ${topics.map(({ name }) => name).join(', ')}`);
    }
  }

  #begin(positions: readonly Begin[]): void {
    for (const { topic, partition, offset } of positions)
      this.#handled.set(`${topic}:${partition}`, offset);
    this.#names = [...new Set([...this.#names, ...positions.map(({ topic }) => topic)])];
  }

  async #positionsOf({ name, partitions, from }: FollowedTopic): Promise<Begin[]> {
    const isolationLevel = this.#isolationLevel;
    this.#consumer.topics.track(name);
    const begins = await offsetsAt(this.#consumer, { topic: name, timestamp: -2n, isolationLevel });
    const ends = await offsetsAt(this.#consumer, { topic: name, timestamp: -1n, isolationLevel });
    const wanted = partitions ?? ends.map((_, partition) => partition);
    return wanted.map((partition) => {
      const end = ends[partition] ?? 0n;
      const begin = begins[partition] ?? 0n;
      const asked = typeof from === 'string' ? undefined : from.get(partition);
      // What retention has cut is not there to be read; what was never written neither.
      const offset = from === 'latest' ? end : asked === undefined || asked < begin ? begin : asked;
      return { topic: name, partition, offset, end };
    });
  }

  async #follow(reader: PartitionReader): Promise<void> {
    try {
      while (!this.#closed) {
        this.#noteCaughtUp();
        await reader.until(1, Date.now() + waitMs);
        await this.#handle(reader);
      }
    } catch (error) {
      reader.close();
      if (this.#closed) return;
      const mapped = platformErrorOf(error, `follow ${this.#names.join(', ')}`);
      this.#caughtUp.reject(mapped);
      this.#options.fail(mapped);
    }
  }

  async #handle(reader: PartitionReader): Promise<void> {
    for (const name of this.#names) {
      const records = reader.take(name, takeRecordsMax);
      if (records.length > 0 && !this.#closed) await this.#options.onRecords(records);
    }
    const offsets = reader.offsets();
    reader.committed(offsets);
    for (const { topic, partition, offset } of offsets) {
      const key = `${topic}:${partition}`;
      if (this.#handled.has(key)) this.#handled.set(key, offset);
    }
  }

  #noteCaughtUp(): void {
    const behind = this.#ends.some(
      ({ topic, partition, end }) => this.position(topic, partition) < end,
    );
    if (!behind) this.#caughtUp.resolve();
  }
}

function followingConsumer(client: ClientOptions, clientId: string): Consumer {
  // It never joins: the group name is only a formality of the client.
  return new FetchingConsumer({ ...client, ...clientRetries, clientId, groupId: clientId });
}

async function offsetsAt(
  consumer: Consumer,
  of: { topic: string; timestamp: bigint; isolationLevel: 0 | 1 },
): Promise<bigint[]> {
  const { topic, timestamp, isolationLevel } = of;
  const offsets = await consumer.listOffsets({ topics: [topic], timestamp, isolationLevel });
  return offsets.get(topic) ?? [];
}

export interface LogQuestion {
  readonly client: ClientOptions;
  readonly topic: string;
  readonly isolation?: 'committed' | 'uncommitted';
}

/** The offset behind the last record of each partition: `committed` stops before the first open transaction. */
export function endOffsets(question: LogQuestion): Promise<bigint[]> {
  return askOffsets(question, -1n);
}

/** The first offset that is there in each partition. */
export function beginOffsets(question: LogQuestion): Promise<bigint[]> {
  return askOffsets(question, -2n);
}

async function askOffsets(
  { client, topic, isolation = 'committed' }: LogQuestion,
  timestamp: bigint,
): Promise<bigint[]> {
  const consumer = followingConsumer(client, 'offsets');
  try {
    const isolationLevel = isolation === 'committed' ? 1 : 0;
    return await offsetsAt(consumer, { topic, timestamp, isolationLevel });
  } catch (error) {
    throw platformErrorOf(error, `ask where ${topic} ends`);
  } finally {
    await consumer.close(true).catch(() => {});
  }
}

export interface RangeQuestion extends LogQuestion {
  readonly partition: number;
  readonly from: bigint;
  /** Excluded. */
  readonly to: bigint;
  /** How long no progress is borne, as when a transaction stays open. */
  readonly stallTimeoutMs?: number;
  /** Of one fetch, before a record that is larger by itself. */
  readonly bytesMax?: number;
}

const rangeBytesMax = 4 << 20;

const rangeStallTimeoutMs = 60_000;

/** The records of a partition from `from` to `to`, in batches as the broker gives them. */
export async function* readRange(question: RangeQuestion): AsyncGenerator<InputRecord[]> {
  const { client, topic, partition, to, stallTimeoutMs = rangeStallTimeoutMs } = question;
  const { bytesMax = rangeBytesMax } = question;
  const isolationLevel = question.isolation === 'uncommitted' ? 0 : 1;
  const consumer = followingConsumer(client, 'range');
  consumer.topics.track(topic);
  let progressAt = Date.now();
  try {
    for (let offset = question.from; offset < to;) {
      const at = { topic, partition, offset, isolationLevel, bytesMax } as const;
      const answer = await fetchOnce(consumer, at);
      const last = answer?.records?.at(-1);
      if (answer === undefined || last === undefined || nextOffset(last) <= offset) {
        requireProgress(`${topic} at ${partition}:${offset}`, progressAt + stallTimeoutMs);
        continue;
      }
      const records = recordsOf(answer, topic, isolationLevel).filter(
        (record) => record.offset >= offset && record.offset < to,
      );
      if (records.length > 0) yield records;
      offset = nextOffset(last);
      progressAt = Date.now();
    }
  } catch (error) {
    throw platformErrorOf(error, `read ${topic}`);
  } finally {
    await consumer.close(true).catch(() => {});
  }
}

function requireProgress(where: string, deadlineMs: number): void {
  if (Date.now() > deadlineMs) throw new StalledError(`Cannot read ${where}: no progress`);
}

async function fetchOnce(
  consumer: Consumer,
  of: {
    topic: string;
    partition: number;
    offset: bigint;
    isolationLevel: 0 | 1;
    bytesMax: number;
  },
): Promise<fetchV17.FetchResponsePartition | undefined> {
  const { topic, partition, offset, isolationLevel, bytesMax } = of;
  try {
    const metadata = (await consumer.metadata({ topics: [topic] })).topics.get(topic);
    const { responses } = await consumer.fetch({
      node: metadata?.partitions[partition]?.leader ?? -1,
      maxWaitTime: 250,
      minBytes: 1,
      maxBytes: 2 * bytesMax,
      isolationLevel,
      topics: [
        {
          topicId: metadata?.id ?? '',
          partitions: [
            {
              partition,
              fetchOffset: offset,
              partitionMaxBytes: bytesMax,
              currentLeaderEpoch: -1,
              lastFetchedEpoch: -1,
            },
          ],
        },
      ],
    });
    return responses[0]?.partitions.find((one) => one.partitionIndex === partition);
  } catch (error) {
    if (apiError(error, 'OFFSET_OUT_OF_RANGE', ...refusals)) throw error;
    consumer.clearMetadata();
    await sleep(retryDelayMs);
    return undefined;
  }
}

function recordsOf(
  answer: fetchV17.FetchResponsePartition,
  topic: string,
  isolationLevel: 0 | 1,
): InputRecord[] {
  const all = (answer.records ?? []).filter(({ attributes }) => !(attributes & 0x20));
  const batches = isolationLevel === 1 ? committedBatches(answer) : all;
  return batches.flatMap((batch) =>
    batch.records.map(
      ({ offsetDelta, timestampDelta, key, value, headers }) =>
        new ReadRecord({
          topic,
          partition: answer.partitionIndex,
          offset: batch.firstOffset + BigInt(offsetDelta),
          timestampMs: Number(batch.firstTimestamp + timestampDelta),
          key,
          value,
          headerPairs: headers,
        }),
    ),
  );
}
