import type { CountryCode } from '@domicile/core/countries.ts';
import { type StreamName, topicOf } from '@domicile/core/streams.ts';
import { partitionOf } from '@domicile/kafka/partitioner.ts';
import type { InputRecord } from '@domicile/kafka/records.ts';
import type { FeedMessage } from './feed.ts';
import { factsOf } from './message-record.ts';

/** A partition that messages stand in. */
export interface Place {
  /** `{stream}/{partition}`, as positions are kept by. */
  readonly key: string;
  readonly kafkaTopic: string;
  readonly partition: number;
}

/** Where the messages of a topic are kept, and what a record says as a message. */
export interface TopicPolicy {
  /** `committed` where transactions write that may be aborted. */
  readonly isolation: 'committed' | 'uncommitted';
  /** Followed from the start, whoever subscribes. */
  readonly always: readonly Place[];
  /** Everywhere that a message which the filter takes can stand. */
  placesOf(filter: string): readonly Place[];
  place(kafkaTopic: string, partition: number): Place | undefined;
  /** By its key. */
  placeNamed(key: string): Place | undefined;
  /** Undefined: the record is no message for clients. */
  read(record: InputRecord): FeedMessage | undefined;
}

/** All places of some streams, which have the same number of partitions. */
export class Places {
  readonly #byTopic = new Map<string, readonly Place[]>();
  readonly partitions: number;

  constructor(country: CountryCode, streams: readonly StreamName[], partitions: number) {
    this.partitions = partitions;
    for (const stream of streams) {
      const kafkaTopic = topicOf(country, stream);
      const places = Array.from({ length: partitions }, (_, partition) => ({
        key: `${stream}/${partition}`,
        kafkaTopic,
        partition,
      }));
      this.#byTopic.set(kafkaTopic, places);
    }
  }

  get all(): readonly Place[] {
    return [...this.#byTopic.values()].flat();
  }

  at(kafkaTopic: string, partition: number): Place | undefined {
    return this.#byTopic.get(kafkaTopic)?.[partition];
  }

  named(key: string): Place | undefined {
    return this.all.find((place) => place.key === key);
  }
}

/** Any topic, kept under its name in `mqtt-messages`: the order of a topic is that of its partition. */
export class OpenPolicy implements TopicPolicy {
  readonly isolation = 'committed';
  readonly #places: Places;
  readonly #kafkaTopic: string;

  constructor(country: CountryCode, partitions: number) {
    this.#places = new Places(country, ['mqtt-messages'], partitions);
    this.#kafkaTopic = topicOf(country, 'mqtt-messages');
  }

  get always(): readonly Place[] {
    return this.#places.all;
  }

  placesOf(filter: string): readonly Place[] {
    if (filter.startsWith('$')) return [];
    if (/[+#]/.test(filter)) return this.#places.all;
    const partition = partitionOf(Buffer.from(filter), this.#places.partitions);
    const place = this.#places.at(this.#kafkaTopic, partition);
    return place ? [place] : [];
  }

  place(kafkaTopic: string, partition: number): Place | undefined {
    return this.#places.at(kafkaTopic, partition);
  }

  placeNamed(key: string): Place | undefined {
    return this.#places.named(key);
  }

  read(record: InputRecord): FeedMessage | undefined {
    const { key, value, partition, offset, timestampMs } = record;
    if (!key) return undefined;
    const { publisher, qos, retain, expiresAtMs, properties } = factsOf(record.headers);
    return feedMessage({
      topic: key.toString(),
      payload: value ?? noPayload,
      qos,
      retain,
      publisher,
      expiresAtMs,
      properties,
      place: `mqtt-messages/${partition}`,
      offset: Number(offset),
      timestampMs,
      headers: () => Object.fromEntries(record.headers),
    });
  }
}

const noPayload = Buffer.alloc(0);

/** Offered to many, so it is made once. */
export function feedMessage(facts: Omit<FeedMessage, 'outbound'>): FeedMessage {
  const { topic, payload, qos, retain, expiresAtMs, properties, place, offset } = facts;
  const outbound = {
    topic,
    payload,
    qos,
    retain,
    token: `${place}/${offset}`,
    ...(expiresAtMs !== undefined && { expiresAtMs }),
    properties,
  };
  return { ...facts, outbound };
}
