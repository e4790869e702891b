/** What a store says of an object without reading it. */
export interface ObjectHead {
  readonly key: string;
  readonly bytes: number;
  /** Changes whenever the object's content is written anew; of no other meaning. */
  readonly generation: string;
}

export interface ByteRange {
  readonly start: number;
  /** Not included. */
  readonly end: number;
}

/**
 * A bucket. What it keeps is created once and then neither replaced nor deleted; only the pointers `latest.*` are.
 * Keys are relative paths of the parts `[A-Za-z0-9_=.-]+`, none of them `.` or `..`, at most `keyLengthMax` characters;
 * any other key throws `VALUE_INVALID` before the store is touched. A failing store throws `UPSTREAM_UNAVAILABLE`, a full
 * one `STORE_FULL`.
 */
export interface ObjectStore {
  /**
   * Durable once it resolves, and either whole or absent for every reader, whatever is killed. False if an object of
   * that key was there already, which is then left as it is.
   */
  createOnly(key: string, content: Uint8Array): Promise<boolean>;
  /** Undefined if there is none. */
  get(key: string): Promise<Buffer | undefined>;
  /** Throws `NOT_FOUND`, and `RANGE_NOT_SATISFIABLE` if the range does not lie within the object. */
  getRange(key: string, range: ByteRange): Promise<Buffer>;
  /** Undefined if there is none. */
  head(key: string): Promise<ObjectHead | undefined>;
  /**
   * The keys below a folder (`prefix` ends with `/`) by rising name, after `after` if given, at most `limit`. For writers
   * and auditors, who ask for narrow folders; readers follow pointers and manifests.
   */
  list(
    prefix: string,
    page: { readonly after?: string; readonly limit: number },
  ): Promise<string[]>;
  /** For `latest.*` alone, throws `VALUE_INVALID` for other names: readers see the content before or after, whole. */
  replacePointer(key: string, content: Uint8Array): Promise<void>;
}

/** What the eraser alone may do, for whom objects are not created once and for all; and, with what is superseded, the pruner. */
export interface ErasableStore extends ObjectStore {
  /** Durable once it resolves. False if the object is not of that generation any more; then nothing was changed. */
  replace(key: string, content: Uint8Array, ifGeneration: string): Promise<boolean>;
  /** False if the object is of another generation; true also if it is gone already. */
  remove(key: string, ifGeneration: string): Promise<boolean>;
}

export const keyLengthMax = 512;
