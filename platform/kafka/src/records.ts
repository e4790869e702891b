import { keptBytes } from '@domicile/runtime/kept-bytes.ts';
import type { MessageToProduce } from '@platformatic/kafka';

/** A record as read. */
export interface InputRecord {
  readonly topic: string;
  readonly partition: number;
  readonly offset: bigint;
  readonly timestampMs: number;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  /** Names and values as UTF-8 text. */
  readonly headers: ReadonlyMap<string, string>;
}

/** A record to be written. Without a value it is a tombstone; without a partition its key decides. */
export interface OutputRecord {
  readonly topic: string;
  readonly key?: Buffer;
  readonly value?: Buffer;
  readonly partition?: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** Unix milliseconds; absent: when it is sent. */
  readonly timestamp?: bigint;
}

/** A batch takes at least this for a record, before compression. */
const recordOverheadBytes = 32;

/** At least what the record takes in an uncompressed batch. */
export function bytesOf({ key, value, headers }: OutputRecord): number {
  let bytes = recordOverheadBytes + (key?.length ?? 0) + (value?.length ?? 0);
  for (const name in headers)
    bytes += 2 * recordOverheadBytes + name.length + (headers[name]?.length ?? 0);
  return bytes;
}

const textCache = new Map<string, Buffer>();
const cachedTextsMax = 4096;

/** Header names and most values repeat, so their bytes are kept. */
function textBytes(text: string): Buffer {
  const known = textCache.get(text);
  if (known !== undefined) return known;
  if (textCache.size >= cachedTextsMax) return Buffer.from(text);
  const bytes = keptBytes(text);
  textCache.set(text, bytes);
  return bytes;
}

/** The record as the client wants it. */
export function messageOf(record: OutputRecord): MessageToProduce {
  const { topic, key, value, partition, headers, timestamp } = record;
  const message: MessageToProduce = { topic };
  if (key !== undefined) message.key = key;
  if (value !== undefined) message.value = value;
  if (partition !== undefined) message.partition = partition;
  if (timestamp !== undefined) message.timestamp = timestamp;
  if (headers !== undefined) {
    const entries = new Map<Buffer, Buffer>();
    for (const name in headers) entries.set(textBytes(name), textBytes(headers[name] ?? ''));
    message.headers = entries;
  }
  return message;
}

interface Parts {
  readonly topic: string;
  readonly partition: number;
  readonly offset: bigint;
  readonly timestampMs: number;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly headerPairs: readonly (readonly [Buffer | null, Buffer | null])[];
}

/** Headers become text only when somebody asks. */
export class ReadRecord implements InputRecord {
  readonly topic: string;
  readonly partition: number;
  readonly offset: bigint;
  readonly timestampMs: number;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly #pairs: Parts['headerPairs'];
  #headers: ReadonlyMap<string, string> | undefined;

  constructor({ topic, partition, offset, timestampMs, key, value, headerPairs }: Parts) {
    this.topic = topic;
    this.partition = partition;
    this.offset = offset;
    this.timestampMs = timestampMs;
    this.key = key;
    this.value = value;
    this.#pairs = headerPairs;
  }

  get headers(): ReadonlyMap<string, string> {
    this.#headers ??= new Map(
      this.#pairs.map(([name, value]) => [String(name), value === null ? '' : value.toString()]),
    );
    return this.#headers;
  }
}
