import type { ClientOptions } from '@domicile/kafka/client-options.ts';
import type { InputRecord, OutputRecord } from '@domicile/kafka/records.ts';
import { TopicFollower } from '@domicile/kafka/topic-follower.ts';
import type { Delivery, OutboundMessage, Subscription } from '@domicile/mqtt/owner.ts';
import { filterTakes } from '@domicile/mqtt/topic-filters.ts';
import { keptBytes } from '@domicile/runtime/kept-bytes.ts';
import {
  type RetainedBounds,
  type RetainedEntry,
  RetainedView,
} from '../model/messages/retained-view.ts';
import type { FeedMessage } from './feed.ts';
import { factsOf, messageHeaders, retainedRecordOf } from './message-record.ts';
import type { RetainedSource, RetainedTaker } from './retained-source.ts';

export interface RetainedStoreOptions {
  readonly client: ClientOptions;
  /** Of `mqtt-retained`. */
  readonly kafkaTopic: string;
  readonly bounds: RetainedBounds;
  /** Resolves when Kafka has the record. */
  readonly write: (record: OutputRecord) => Promise<unknown>;
  readonly fail: (error: unknown) => void;
  readonly delivered: (delivery: Delivery) => void;
  /** A retained message was not written, and is tried again. */
  readonly troubled: (error: unknown) => void;
}

interface Retained {
  readonly outbound: OutboundMessage;
  readonly place: string;
  readonly headers: Readonly<Record<string, string>>;
}

/** What of a subscription is still to be delivered. */
interface Delivering {
  readonly subscription: Subscription;
  readonly topics: readonly string[];
  at: number;
  unsettled: number;
}

/** By then the publisher has written what it retained, if it lives. */
const writeGraceMs = 5_000;
const sweepEveryMs = 2_000;

/**
 * The retained messages of the cell: a compacted log that every replica holds in memory. A message becomes retained when
 * it passes in the log of messages, and is then written to the compacted one by who published it; what is missing there
 * after a while, since that replica died or two wrote at once, any other replica writes.
 */
export class RetainedStore implements RetainedSource, AsyncDisposable {
  readonly #options: RetainedStoreOptions;
  readonly #view: RetainedView<Retained>;
  readonly #delivering = new WeakMap<RetainedTaker, Map<string, Delivering>>();
  readonly #sweeping: NodeJS.Timeout;
  #follower: TopicFollower | undefined;
  #isSweeping = false;

  constructor(options: RetainedStoreOptions) {
    this.#options = options;
    this.#view = new RetainedView(options.bounds);
    this.#sweeping = setInterval(() => void this.#sweep(), sweepEveryMs).unref();
  }

  /** Resolves when all that is retained has been read. Start the messages' own log first. */
  async open(): Promise<void> {
    const { client, kafkaTopic, fail } = this.#options;
    this.#follower = await TopicFollower.start({
      client,
      clientId: 'broker-retained',
      topics: [{ name: kafkaTopic, from: 'earliest' }],
      fail,
      onRecords: (records) => {
        for (const record of records) this.#noteStored(record);
      },
    });
    await this.#follower.caughtUp;
  }

  get count(): number {
    return this.#view.count;
  }

  get bytes(): number {
    return this.#view.bytes;
  }

  takes(topic: string, payload: Buffer): boolean {
    return payload.length === 0 || this.#view.takes(topic, sizeOf(topic, payload));
  }

  /** Writes what was published, once it stands in the log of messages. */
  async write(record: OutputRecord, offset: bigint): Promise<void> {
    const { kafkaTopic, write } = this.#options;
    await write(retainedRecordOf(record, { kafkaTopic, offset }));
  }

  seen(message: FeedMessage): void {
    if (!message.retain) return;
    const { topic, offset, expiresAtMs, place } = message;
    const payload = keptBytes(message.payload);
    const outbound = { ...message.outbound, payload };
    const headers = message.headers();
    this.#view.note(
      {
        topic,
        offset,
        expiresAtMs,
        notedAtMs: Date.now(),
        ...(payload.length === 0
          ? { message: undefined, bytes: 0 }
          : {
              message: { outbound, place, headers },
              bytes: sizeOf(topic, payload),
            }),
      },
      false,
    );
  }

  deliver(taker: RetainedTaker, subscription: Subscription): void {
    const { name, filter } = subscription;
    const all = this.#delivering.get(taker) ?? new Map<string, Delivering>();
    this.#delivering.set(taker, all);
    const topics = /[+#]/.test(filter)
      ? [...this.#view.topics()].filter((topic) => filterTakes(filter, topic))
      : [filter];
    all.set(name, { subscription, topics, at: 0, unsettled: 0 });
    taker.retainedDue.add(name);
    this.goOn(taker);
  }

  resume(taker: RetainedTaker, subscription: Subscription): void {
    const isUnderWay = this.#delivering.get(taker)?.has(subscription.name);
    if (isUnderWay) this.goOn(taker);
    else this.deliver(taker, subscription);
  }

  goOn(taker: RetainedTaker): void {
    const all = this.#delivering.get(taker);
    if (!all || !taker.session) return;
    for (const [name, work] of all) {
      if (!taker.entries.has(name)) {
        all.delete(name);
        continue;
      }
      for (; work.at < work.topics.length; work.at += 1)
        if (!this.#offer(taker, work, work.topics[work.at] ?? '')) return;
      this.#noteDone(taker, work);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#sweeping);
    await this.#follower?.[Symbol.asyncDispose]();
  }

  /** @returns false if there is no room. */
  #offer(taker: RetainedTaker, work: Delivering, topic: string): boolean {
    const entry = this.#view.get(topic, Date.now());
    if (!entry?.message || !taker.session) return true;
    const { outbound, place } = entry.message;
    const before = taker.entries.get(work.subscription.name)?.retainedBefore.get(place);
    if (entry.offset >= (before ?? Infinity)) return true;
    const isTaken = taker.session.offer(
      { ...outbound, retain: true, fromRetained: true },
      [work.subscription],
      (delivery) => {
        this.#options.delivered(delivery);
        if (delivery === 'session-ended') return;
        work.unsettled -= 1;
        this.#noteDone(taker, work);
      },
    );
    if (isTaken) work.unsettled += 1;
    return isTaken;
  }

  #noteDone(taker: RetainedTaker, work: Delivering): void {
    if (work.at < work.topics.length || work.unsettled > 0) return;
    const { name } = work.subscription;
    const all = this.#delivering.get(taker);
    if (all?.get(name) !== work) return;
    all.delete(name);
    taker.retainedDue.delete(name);
  }

  #noteStored({ key, value, headers, partition }: InputRecord): void {
    const offset = Number(headers.get(messageHeaders.messageOffset));
    if (!key || !Number.isSafeInteger(offset)) return;
    const topic = key.toString();
    const { qos, expiresAtMs, properties } = factsOf(headers);
    const place = `mqtt-messages/${partition}`;
    const payload = keptBytes(value ?? '');
    const outbound = {
      topic,
      payload,
      qos,
      token: `${place}/${offset}`,
      ...(expiresAtMs !== undefined && { expiresAtMs }),
      properties,
    };
    const message = value ? { outbound, place, headers: Object.fromEntries(headers) } : undefined;
    const bytes = value ? sizeOf(topic, value) : 0;
    const notedAtMs = Date.now();
    this.#view.note({ topic, message, bytes, offset, expiresAtMs, notedAtMs }, true);
  }

  async #sweep(): Promise<void> {
    if (this.#isSweeping) return;
    this.#isSweeping = true;
    try {
      for (const entry of this.#view.sweep(Date.now(), writeGraceMs))
        await this.#options.write(this.#recordOf(entry));
    } catch (error) {
      this.#options.troubled(error);
    } finally {
      this.#isSweeping = false;
    }
  }

  #recordOf({ topic, message, offset }: RetainedEntry<Retained>): OutputRecord {
    const { kafkaTopic } = this.#options;
    const record = {
      topic: kafkaTopic,
      key: Buffer.from(topic),
      ...(message && { value: message.outbound.payload, headers: message.headers }),
    };
    return retainedRecordOf(record, { kafkaTopic, offset: BigInt(offset) });
  }
}

const overheadBytes = 300;

function sizeOf(topic: string, payload: Buffer): number {
  return topic.length + payload.length + overheadBytes;
}
