import { keyOf, refOf } from '../runtime/kube-path.ts';
import type { KubeObject } from '../runtime/kube.ts';

/** How one object differs from what was known of it. */
export type Change =
  | { readonly type: 'added'; readonly object: KubeObject }
  | { readonly type: 'updated'; readonly object: KubeObject; readonly before: KubeObject }
  | { readonly type: 'deleted'; readonly object: KubeObject };

/**
 * What a collection is known to hold. Every step answers exactly the difference that it made, so that who follows the changes
 * has the same objects; an object that was deleted and made anew under its name is both.
 */
export class ObjectCache {
  readonly #objects = new Map<string, KubeObject>();

  get size(): number {
    return this.#objects.size;
  }

  get(key: string): KubeObject | undefined {
    return this.#objects.get(key);
  }

  values(): IterableIterator<KubeObject> {
    return this.#objects.values();
  }

  /** All that there is, after a list. */
  replace(objects: readonly KubeObject[]): Change[] {
    const there = new Set(objects.map((object) => keyOf(refOf(object))));
    const gone = [...this.#objects.keys()].filter((key) => !there.has(key));
    return [
      ...gone.flatMap((key) => this.#remove(key)),
      ...objects.flatMap((object) => this.put(object)),
    ];
  }

  put(object: KubeObject): Change[] {
    const key = keyOf(refOf(object));
    const before = this.#objects.get(key);
    if (before === undefined) {
      this.#objects.set(key, object);
      return [{ type: 'added', object }];
    }
    if (before.metadata.uid !== object.metadata.uid)
      return [...this.#remove(key), ...this.put(object)];
    if (before.metadata.resourceVersion === object.metadata.resourceVersion) return [];
    this.#objects.set(key, object);
    return [{ type: 'updated', object, before }];
  }

  remove(object: KubeObject): Change[] {
    return this.#remove(keyOf(refOf(object)));
  }

  #remove(key: string): Change[] {
    const object = this.#objects.get(key);
    if (object === undefined) return [];
    this.#objects.delete(key);
    return [{ type: 'deleted', object }];
  }
}
