import { setTimeout as wait } from 'node:timers/promises';
import type { CountryCode } from '@domicile/core/countries.ts';
import { headers, streams, topicOf } from '@domicile/core/streams.ts';
import type { ClientOptions } from '@domicile/kafka/client-options.ts';
import { type Acknowledgement, IdempotentProducer } from '@domicile/kafka/idempotent-producer.ts';
import { partitionOf } from '@domicile/kafka/partitioner.ts';
import type { InputRecord, OutputRecord } from '@domicile/kafka/records.ts';
import { endOffsets, readRange, TopicFollower } from '@domicile/kafka/topic-follower.ts';
import { placeOf, type SessionLogKey, textOf } from '../model/sessions/session-keys.ts';
import type { SessionLogRecord } from '../model/sessions/sessions-view.ts';
import { SharedRuns } from './shared-runs.ts';

export interface SessionLogOptions {
  readonly kafka: ClientOptions;
  readonly country: CountryCode;
  readonly deliveryTimeoutMs: number;
}

const lanes = 4;
const lingerMs = 2;
const pendingBytesMax = 64 << 20;
const progressPollMs = 5;

/** The compacted log in which sessions live: written idempotently, and read by every replica from its beginning. */
export class SessionLog implements AsyncDisposable {
  readonly topic: string;
  readonly #options: SessionLogOptions;
  readonly #producer: IdempotentProducer;
  readonly #partitionCount: number;
  readonly #catchUps = new SharedRuns(() => this.#catchUp());
  readonly #waiting = new Set<{ partition: number; offset: bigint; resolve: () => void }>();
  #follower: TopicFollower | undefined;
  #closed = false;

  static async open(options: SessionLogOptions): Promise<SessionLog> {
    const topic = topicOf(options.country, 'mqtt-sessions');
    const client = options.kafka;
    const ends = await endOffsets({ client, topic });
    const { deliveryTimeoutMs } = options;
    const clientId = 'broker-sessions';
    const producer = await IdempotentProducer.open({
      client,
      clientId,
      topics: [topic],
      lanes,
      lingerMs,
      pendingBytesMax,
      deliveryTimeoutMs,
    });
    return new SessionLog(options, topic, { producer, partitionCount: ends.length });
  }

  private constructor(
    options: SessionLogOptions,
    topic: string,
    { producer, partitionCount }: { producer: IdempotentProducer; partitionCount: number },
  ) {
    this.#options = options;
    this.topic = topic;
    this.#producer = producer;
    this.#partitionCount = partitionCount;
  }

  /** Resolves when all that was there at the call has been read. */
  async follow(
    onRecord: (record: SessionLogRecord) => void,
    fail: (error: unknown) => void,
  ): Promise<void> {
    const { kafka: client } = this.#options;
    this.#follower = await TopicFollower.start({
      client,
      clientId: 'broker-sessions',
      fail,
      topics: [{ name: this.topic, from: 'earliest' }],
      // A replica that stops within a transaction must not keep the others from reading.
      isolation: 'uncommitted',
      onRecords: (records) => {
        for (const record of records) onRecord(plain(record));
        this.#noteRead(records);
      },
    });
    await this.#follower.caughtUp;
  }

  /** As it goes into the log; without a value it is a tombstone. */
  record(key: SessionLogKey, value?: unknown): OutputRecord {
    return {
      topic: this.topic,
      key: Buffer.from(textOf(key)),
      partition: partitionOf(Buffer.from(placeOf(key)), this.#partitionCount),
      headers: { [headers.schema]: streams['mqtt-sessions'].schema },
      ...(value !== undefined && { value: Buffer.from(JSON.stringify(value)) }),
    };
  }

  /** Of a key as it was read, of the session. */
  tombstone(session: string, text: string): OutputRecord {
    return { ...this.record({ of: 'claim', session, claimId: '' }), key: Buffer.from(text) };
  }

  /** Resolves when it is on all in-sync replicas. Records of one session keep their order. */
  write(record: OutputRecord): Promise<Acknowledgement> {
    return this.#producer.send(record);
  }

  async writeAll(records: readonly OutputRecord[]): Promise<void> {
    await Promise.all(records.map((record) => this.#producer.send(record)));
  }

  /** Resolves when the record and all before it have been folded here. */
  readBack({ partition, offset }: Acknowledgement): Promise<void> {
    if ((this.#follower?.position(this.topic, partition) ?? -1n) > offset) return Promise.resolve();
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiting.add({ partition, offset, resolve });
    return promise;
  }

  /** Resolves when all has been folded here that stood in the log at the call, of all partitions. */
  catchUp(): Promise<void> {
    return this.#catchUps.run();
  }

  /** Whether what was written there, perhaps within a transaction, counts. Waits until that is decided. */
  async isCommitted(session: string, offset: bigint): Promise<boolean> {
    const { kafka: client } = this.#options;
    const partition = partitionOf(Buffer.from(session), this.#partitionCount);
    const at = { client, topic: this.topic, partition, from: offset, to: offset + 1n };
    for await (const records of readRange(at)) if (records.length > 0) return true;
    return false;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    await this.#producer.close();
    await this.#follower?.[Symbol.asyncDispose]();
  }

  async #catchUp(): Promise<void> {
    const ends = (await this.#follower?.ends(this.topic)) ?? [];
    const isThere = () =>
      ends.every(
        (end, partition) => (this.#follower?.position(this.topic, partition) ?? end) >= end,
      );
    // Markers of transactions are passed without a record that would tell of it.
    while (!isThere()) {
      if (this.#closed) throw new Error('Cannot catch up: the log of sessions is closed');
      await wait(progressPollMs);
    }
  }

  #noteRead(records: readonly InputRecord[]): void {
    if (this.#waiting.size === 0) return;
    const read = new Map(records.map(({ partition, offset }) => [partition, offset]));
    for (const waiting of this.#waiting) {
      if ((read.get(waiting.partition) ?? -1n) < waiting.offset) continue;
      this.#waiting.delete(waiting);
      waiting.resolve();
    }
  }
}

function plain({ key, value, offset }: InputRecord): SessionLogRecord {
  return { key: key?.toString('utf8') ?? '', value, offset };
}
