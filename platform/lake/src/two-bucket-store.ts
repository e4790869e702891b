import { PlatformError } from '@domicile/core/errors.ts';
import { requireKey, requirePrefix } from './model/object-key.ts';
import type { ByteRange, ErasableStore, ObjectHead } from './object-store.ts';

export type LakePart = 'landing' | 'serving';

/** By the first part of a key. */
const folders: Readonly<Record<string, LakePart | undefined>> = {
  landing: 'landing',
  exports: 'landing',
  erasures: 'landing',
  serving: 'serving',
};

/**
 * The lake's two buckets as one store: keys begin with `landing/` or `serving/`, in their bucket too. What the eraser leaves,
 * `exports/` and `erasures/`, stands in the landing bucket. A part that was not opened is
 * refused (`FORBIDDEN`) before anything is asked.
 */
export class TwoBucketStore implements ErasableStore {
  readonly #parts: Readonly<Record<LakePart, ErasableStore | undefined>>;

  constructor(parts: Readonly<Record<LakePart, ErasableStore | undefined>>) {
    this.#parts = parts;
  }

  async createOnly(key: string, content: Uint8Array): Promise<boolean> {
    return this.#of(requireKey(key)).createOnly(key, content);
  }

  async get(key: string): Promise<Buffer | undefined> {
    return this.#of(requireKey(key)).get(key);
  }

  async getRange(key: string, range: ByteRange): Promise<Buffer> {
    return this.#of(requireKey(key)).getRange(key, range);
  }

  async head(key: string): Promise<ObjectHead | undefined> {
    return this.#of(requireKey(key)).head(key);
  }

  async list(
    prefix: string,
    page: { readonly after?: string; readonly limit: number },
  ): Promise<string[]> {
    return this.#of(requirePrefix(prefix)).list(prefix, page);
  }

  async replacePointer(key: string, content: Uint8Array): Promise<void> {
    return this.#of(requireKey(key)).replacePointer(key, content);
  }

  async replace(key: string, content: Uint8Array, ifGeneration: string): Promise<boolean> {
    return this.#of(requireKey(key)).replace(key, content, ifGeneration);
  }

  async remove(key: string, ifGeneration: string): Promise<boolean> {
    return this.#of(requireKey(key)).remove(key, ifGeneration);
  }

  #of(key: string): ErasableStore {
    const [folder = ''] = key.split('/');
    const part = folders[folder];
    if (part === undefined)
      throw new PlatformError('VALUE_INVALID', 'Cannot use a key outside of the lake');
    const store = this.#parts[part];
    if (store) return store;
    throw new PlatformError(
      'FORBIDDEN',
      `Cannot reach ${part}: this process was given no bucket for it`,
    );
  }
}
