import { follow } from './follow.ts';
import type { KubeClient, KubeObject } from './kube-client.ts';

export interface CacheOptions {
  readonly client: KubeClient;
  readonly apiVersion: string;
  readonly kind: string;
  readonly signal: AbortSignal;
  /** After each change: what is there now; undefined if it is gone. */
  readonly changed?: (key: string, object: KubeObject | undefined) => void;
}

/** All objects of a kind, by `namespace/name`, kept up to date. */
export class KubeCache {
  readonly #options: CacheOptions;
  #objects = new Map<string, KubeObject>();
  #following: Promise<void> = Promise.resolve();

  private constructor(options: CacheOptions) {
    this.#options = options;
  }

  /** Resolves when all that is there has been read. */
  static async start(options: CacheOptions): Promise<KubeCache> {
    const cache = new KubeCache(options);
    const { promise, resolve } = Promise.withResolvers<void>();
    cache.#following = follow(options.client, {
      apiVersion: options.apiVersion,
      kind: options.kind,
      signal: options.signal,
      onList: (objects) => {
        cache.#replaceAll(objects);
        resolve();
      },
      onChange: (type, object) =>
        cache.#set(keyOf(object), type === 'DELETED' ? undefined : object),
    });
    await Promise.race([promise, cache.#following]);
    return cache;
  }

  get(key: string): KubeObject | undefined {
    return this.#objects.get(key);
  }

  values(): KubeObject[] {
    return [...this.#objects.values()];
  }

  /** Resolves when following has ended, after the signal. */
  ended(): Promise<void> {
    return this.#following;
  }

  #replaceAll(objects: readonly KubeObject[]): void {
    const before = this.#objects;
    this.#objects = new Map(objects.map((object) => [keyOf(object), object]));
    for (const [key, object] of this.#objects) this.#options.changed?.(key, object);
    for (const key of before.keys())
      if (!this.#objects.has(key)) this.#options.changed?.(key, undefined);
  }

  #set(key: string, object: KubeObject | undefined): void {
    if (object === undefined) this.#objects.delete(key);
    else this.#objects.set(key, object);
    this.#options.changed?.(key, object);
  }
}

export function keyOf({ metadata }: KubeObject): string {
  return `${metadata.namespace ?? ''}/${metadata.name}`;
}
