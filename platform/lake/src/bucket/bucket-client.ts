import type { ByteRange } from '../object-store.ts';

/** What must hold for a write to happen: nothing there, just that generation there, or whatever is there. */
export type WriteCondition = 'absent' | { readonly generation: string };

export interface BucketWrite {
  readonly condition: WriteCondition;
  /** Kept with the object, so that a writer knows its own. */
  readonly writeId: string;
  /** Of the content, hexadecimal; the store refuses other bytes. */
  readonly crc32c: string;
}

export interface BucketObjectHead {
  readonly bytes: number;
  readonly generation: string;
  readonly writeId: string | undefined;
  /** Hexadecimal; undefined if the store keeps none. */
  readonly crc32c: string | undefined;
}

export interface BucketRead {
  readonly content: Buffer;
  /** What the store says of the whole object, hexadecimal; undefined if it keeps none. */
  readonly crc32c: string | undefined;
}

/**
 * One bucket of a provider. Every call asks once and either answers or throws: `UPSTREAM_UNAVAILABLE` for whatever may pass by
 * itself, a bucket that is not there included; `FORBIDDEN`; `STORE_FULL`.
 */
export interface BucketClient {
  /** The new generation; undefined if the condition does not hold. */
  put(key: string, content: Uint8Array, write: BucketWrite): Promise<string | undefined>;
  /** Undefined if there is none. */
  head(key: string): Promise<BucketObjectHead | undefined>;
  /** Undefined if there is none. */
  read(key: string): Promise<BucketRead | undefined>;
  /** A range that is not empty. Undefined if there is no object; throws `RANGE_NOT_SATISFIABLE` if it begins behind its end. */
  readRange(key: string, range: ByteRange): Promise<Buffer | undefined>;
  /** At most `limit` names, by rising name, after `after`. */
  list(
    prefix: string,
    page: { readonly after: string | undefined; readonly limit: number },
  ): Promise<string[]>;
  /** With its older versions of that generation. False if another generation is there; true if it is gone. */
  remove(key: string, generation: string): Promise<boolean>;
}
