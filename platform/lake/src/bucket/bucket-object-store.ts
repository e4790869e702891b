import { randomUUID } from 'node:crypto';
import { PlatformError } from '@domicile/core/errors.ts';
import { crc32cOf } from '../model/crc32c.ts';
import { requireKey, requirePointer, requirePrefix } from '../model/object-key.ts';
import type { ByteRange, ErasableStore, ObjectHead } from '../object-store.ts';
import type { BucketClient, WriteCondition } from './bucket-client.ts';
import { bucketPersistence, type Persistence, persistently } from './persistently.ts';

/** Writers that may come between while a pointer is replaced, before it is given up. */
const pointerRoundsMax = 10;

interface Outcome {
  readonly isDone: boolean;
  /** Of the object that is there; undefined if it is not known. */
  readonly generation: string | undefined;
}

/**
 * A provider's bucket as a store: calls are repeated within bounds, bytes are compared with their checksum here, and a write
 * whose answer was lost is known again by the id that it left with the object.
 */
export class BucketObjectStore implements ErasableStore {
  readonly #client: BucketClient;
  readonly #persistence: Persistence;
  /** Pointers that were written or seen here, so that a new one need not be looked up first. */
  readonly #pointers = new Map<string, string>();

  constructor(client: BucketClient, persistence: Persistence = bucketPersistence) {
    this.#client = client;
    this.#persistence = persistence;
  }

  async createOnly(key: string, content: Uint8Array): Promise<boolean> {
    return (await this.#write(requireKey(key), content, 'absent')).isDone;
  }

  async get(key: string): Promise<Buffer | undefined> {
    requireKey(key);
    return persistently(this.#persistence, async () => {
      const read = await this.#client.read(key);
      if (!read) return undefined;
      if (read.crc32c !== undefined && read.crc32c !== crc32cOf(read.content))
        throw new PlatformError(
          'UPSTREAM_UNAVAILABLE',
          'Cannot read: bytes of an object differ from its checksum',
        );
      return read.content;
    });
  }

  async getRange(key: string, range: ByteRange): Promise<Buffer> {
    requireKey(key);
    const { start, end } = range;
    if (start < 0 || end < start) throw beyondTheEnd();
    if (start === end) return this.#emptyRange(key, start);
    return persistently(this.#persistence, async () => {
      const content = await this.#client.readRange(key, range);
      if (!content) throw new PlatformError('NOT_FOUND', 'Cannot read: there is no such object');
      if (content.length === end - start) return content;
      // A shorter answer is the object's end or a connection's.
      const bytes = (await this.#client.head(key))?.bytes ?? 0;
      if (end > bytes) throw beyondTheEnd();
      throw new PlatformError('UPSTREAM_UNAVAILABLE', 'Cannot read: an answer was cut short');
    });
  }

  async head(key: string): Promise<ObjectHead | undefined> {
    requireKey(key);
    return persistently(this.#persistence, async () => {
      const found = await this.#client.head(key);
      return found && { key, bytes: found.bytes, generation: found.generation };
    });
  }

  async list(
    prefix: string,
    page: { readonly after?: string; readonly limit: number },
  ): Promise<string[]> {
    requirePrefix(prefix);
    const { after, limit } = page;
    return persistently(this.#persistence, () => this.#client.list(prefix, { after, limit }));
  }

  /** Under the generation that it replaces: a write that arrives late never undoes a later one. */
  async replacePointer(key: string, content: Uint8Array): Promise<void> {
    requirePointer(key);
    let known = this.#pointers.get(key);
    for (let round = 0; round < pointerRoundsMax; round += 1) {
      known ??= (await this.head(key))?.generation;
      const condition = known === undefined ? ('absent' as const) : { generation: known };
      const { isDone, generation } = await this.#write(key, content, condition);
      if (generation === undefined) this.#pointers.delete(key);
      else this.#pointers.set(key, generation);
      if (isDone) return;
      known = generation;
    }
    throw new PlatformError(
      'UPSTREAM_UNAVAILABLE',
      'Cannot replace a pointer: others replace it all the time',
    );
  }

  async replace(key: string, content: Uint8Array, ifGeneration: string): Promise<boolean> {
    requireKey(key);
    const { isDone } = await this.#write(key, content, { generation: ifGeneration });
    // In a versioned bucket what was replaced is still there.
    if (isDone) await persistently(this.#persistence, () => this.#client.remove(key, ifGeneration));
    return isDone;
  }

  async remove(key: string, ifGeneration: string): Promise<boolean> {
    requireKey(key);
    return persistently(this.#persistence, () => this.#client.remove(key, ifGeneration));
  }

  async #write(key: string, content: Uint8Array, condition: WriteCondition): Promise<Outcome> {
    const writeId = randomUUID();
    const crc32c = crc32cOf(content);
    return persistently(this.#persistence, async (isRepeated) => {
      const generation = await this.#client.put(key, content, { condition, writeId, crc32c });
      if (generation !== undefined) return { isDone: true, generation };
      const found = await this.#client.head(key);
      if (!isRepeated || found?.writeId !== writeId)
        return { isDone: false, generation: found?.generation };
      // An attempt before this one was carried out, and its answer was lost.
      if (found.bytes === content.length && (found.crc32c ?? crc32c) === crc32c)
        return { isDone: true, generation: found.generation };
      throw new PlatformError(
        'OBJECT_MISMATCH',
        'Cannot write: the store keeps other bytes under the id of this write',
      );
    });
  }

  async #emptyRange(key: string, at: number): Promise<Buffer> {
    const head = await this.head(key);
    if (!head) throw new PlatformError('NOT_FOUND', 'Cannot read: there is no such object');
    if (at > head.bytes) throw beyondTheEnd();
    return Buffer.alloc(0);
  }
}

function beyondTheEnd(): PlatformError {
  return new PlatformError('RANGE_NOT_SATISFIABLE', 'Cannot read beyond the end of an object');
}
