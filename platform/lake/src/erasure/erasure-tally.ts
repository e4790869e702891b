import { createHash } from 'node:crypto';
import { z } from 'zod';
import type { ErasableStore } from '../object-store.ts';
import {
  addErasure,
  type ErasureCount,
  keysBelow,
  noErasure,
  removeObject,
} from './erasure-run.ts';

const count = z.number().int().min(0);
const noteSchema = z.object({
  kind: z.string(),
  objects: count,
  rows: count,
  readings: count,
  missing: count,
});

/**
 * What a pass has done so far, whichever of its processes did it: each writes down what it is about to take away, before it does, and
 * what was written down is not written again. So a pass that was killed is counted as one that was not.
 */
export class ErasureTally {
  readonly #store: ErasableStore;
  readonly #folder: string;

  /** `folder`: of this pass alone. */
  constructor(store: ErasableStore, folder: string) {
    this.#store = store;
    this.#folder = folder;
  }

  /** `kind` as the report names it; `what` of it, as the key of a manifest. */
  async note(kind: string, what: string, done: Readonly<ErasureCount>): Promise<void> {
    const name = createHash('sha256').update(`${kind}\n${what}`).digest('hex').slice(0, 32);
    const { objects, rows, readings, missing } = done;
    const text = JSON.stringify({ kind, objects, rows, readings, missing });
    await this.#store.createOnly(`${this.#folder}${name}.json`, Buffer.from(text));
  }

  /** By kind. */
  async sums(): Promise<Record<string, ErasureCount>> {
    const sums: Record<string, ErasureCount> = {};
    for await (const key of keysBelow(this.#store, this.#folder)) {
      const content = await this.#store.get(key);
      if (!content) continue;
      const { kind, ...done } = noteSchema.parse(JSON.parse(content.toString()));
      const sum = (sums[kind] ??= noErasure());
      addErasure(sum, done);
    }
    return sums;
  }

  /** Once the report says it all. */
  async remove(): Promise<void> {
    for await (const key of keysBelow(this.#store, this.#folder))
      await removeObject(this.#store, key);
  }
}
