import type { CountryCode } from '@domicile/core/countries.ts';
import { headers, type StreamName, streams, topicOf } from '@domicile/core/streams.ts';
import type { ClientOptions } from '@domicile/kafka/client-options.ts';
import type { InputRecord } from '@domicile/kafka/records.ts';
import { type FollowedTopic, TopicFollower } from '@domicile/kafka/topic-follower.ts';

/** What a follower hands over: a record that can be read, or the key that a tombstone takes away. */
export interface Handler<Value> {
  take(value: Value, at: { partition: number; offset: bigint }): void;
  /** Of compacted streams. */
  forget?(key: string): void;
  /** A record that is not of the schema; it is passed over. */
  unreadable(): void;
  /** Holds the stream back while it is not resolved. */
  room?(): Promise<void>;
}

interface Following<Value> {
  readonly client: ClientOptions;
  readonly country: CountryCode;
  readonly service: string;
  readonly stream: StreamName;
  readonly from?: FollowedTopic['from'];
  readonly handler: Handler<Value>;
  readonly fail: (error: unknown) => void;
}

/** Follows one stream of a cell from its beginning unless told otherwise. */
export function followStream<Value>(following: Following<Value>): Promise<TopicFollower> {
  const { client, country, service, stream, from = 'earliest', handler, fail } = following;
  return TopicFollower.start({
    client,
    clientId: `${service}-${stream}`,
    topics: [{ name: topicOf(country, stream), from }],
    fail,
    async onRecords(records) {
      await handler.room?.();
      for (const record of records) takeRecord(stream, record, handler);
    },
  });
}

function takeRecord<Value>(stream: StreamName, record: InputRecord, handler: Handler<Value>): void {
  const { key, value, partition, offset } = record;
  if (value === null) {
    if (key !== null) handler.forget?.(key.toString());
    return;
  }
  if (record.headers.get(headers.schema) !== streams[stream].schema) {
    handler.unreadable();
    return;
  }
  let read: Value;
  try {
    // Only our own services may write to the streams, and they say by the header of which schema a record is.
    read = JSON.parse(value.toString());
  } catch {
    handler.unreadable();
    return;
  }
  handler.take(read, { partition, offset });
}
