import { PlatformError } from '@domicile/core/errors.ts';
import { requireKey, requirePointer, requirePrefix } from './model/object-key.ts';
import type { ByteRange, ErasableStore, ObjectHead } from './object-store.ts';

/** A store for tests that forgets when its process ends. */
export class MemoryObjectStore implements ErasableStore {
  readonly #objects = new Map<string, { content: Buffer; generation: string }>();
  #generation = 0;

  async createOnly(key: string, content: Uint8Array): Promise<boolean> {
    if (this.#objects.has(requireKey(key))) return false;
    this.#put(key, content);
    return true;
  }

  async get(key: string): Promise<Buffer | undefined> {
    const found = this.#objects.get(requireKey(key));
    return found && Buffer.from(found.content);
  }

  async getRange(key: string, { start, end }: ByteRange): Promise<Buffer> {
    const found = this.#objects.get(requireKey(key));
    if (!found) throw new PlatformError('NOT_FOUND', 'Cannot read: there is no such object');
    if (start < 0 || end < start || end > found.content.length)
      throw new PlatformError('RANGE_NOT_SATISFIABLE', 'Cannot read beyond the end of an object');
    return Buffer.from(found.content.subarray(start, end));
  }

  async head(key: string): Promise<ObjectHead | undefined> {
    const found = this.#objects.get(requireKey(key));
    return found && { key, bytes: found.content.length, generation: found.generation };
  }

  async list(prefix: string, page: { after?: string; limit: number }): Promise<string[]> {
    requirePrefix(prefix);
    const { after = '', limit } = page;
    return [...this.#objects.keys()]
      .filter((key) => key.startsWith(prefix) && key > after)
      .toSorted()
      .slice(0, limit);
  }

  async replacePointer(key: string, content: Uint8Array): Promise<void> {
    this.#put(requirePointer(key), content);
  }

  async replace(key: string, content: Uint8Array, ifGeneration: string): Promise<boolean> {
    if (this.#objects.get(requireKey(key))?.generation !== ifGeneration) return false;
    this.#put(key, content);
    return true;
  }

  async remove(key: string, ifGeneration: string): Promise<boolean> {
    const found = this.#objects.get(requireKey(key));
    if (found && found.generation !== ifGeneration) return false;
    this.#objects.delete(key);
    return true;
  }

  /** What no adapter offers: the harm that a test does to a store behind our back. */
  harm(key: string, content?: Uint8Array): void {
    if (content === undefined) this.#objects.delete(key);
    else this.#put(key, content);
  }

  #put(key: string, content: Uint8Array): void {
    this.#generation += 1;
    this.#objects.set(key, { content: Buffer.from(content), generation: `${this.#generation}` });
  }
}
