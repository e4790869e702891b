import { PlatformError } from '@domicile/core/errors.ts';

/** Keys that are remembered; beyond, the oldest is forgotten and a repeat of it is kept again. */
const keysMax = 10_000;

interface Remembered<Result> {
  readonly digest: Buffer;
  readonly result: Promise<Result>;
}

/** Does what a key stands for once, as long as it is remembered; what failed may be tried again. */
export class KeyMemory<Result> {
  readonly #keys = new Map<string, Remembered<Result>>();

  /** Throws `CONFLICT` if the key stood for something else. */
  async once(key: string, digest: Buffer, act: () => Promise<Result>): Promise<Result> {
    const known = this.#keys.get(key);
    if (known && !known.digest.equals(digest))
      throw new PlatformError('CONFLICT', 'Cannot keep readings: the key was used for others');
    if (known) return known.result;
    const result = act();
    this.#keys.set(key, { digest, result });
    for (const oldest of this.#keys.keys()) {
      if (this.#keys.size <= keysMax) break;
      this.#keys.delete(oldest);
    }
    try {
      return await result;
    } catch (error) {
      this.#keys.delete(key);
      throw error;
    }
  }
}
