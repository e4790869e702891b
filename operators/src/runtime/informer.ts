import { setTimeout as sleep } from 'node:timers/promises';
import { PlatformError } from '@domicile/core/errors.ts';
import { type Change, ObjectCache } from '../model/object-cache.ts';
import type { KubeHttp } from './kube-http.ts';
import { pageOf, withoutManagedFields } from './kube-object.ts';
import { collectionPath } from './kube-path.ts';
import type { KubeObject } from './kube.ts';
import { type Collection, watchStream } from './watch-stream.ts';

export interface InformerTimes {
  /** How long one watch lasts. A connection that is half open is found out after that and the grace. */
  readonly watchMs: number;
  readonly graceMs: number;
  readonly pauseMsMin: number;
  readonly pauseMsMax: number;
}

export const informerTimes: InformerTimes = {
  watchMs: 30_000,
  graceMs: 5_000,
  pauseMsMin: 100,
  pauseMsMax: 10_000,
};

export interface InformerOptions {
  readonly http: KubeHttp;
  readonly collection: Collection;
  readonly times?: InformerTimes;
  /** Each change once, in their order; must not throw. */
  readonly changed: (change: Change) => void;
  /** A list or watch ended before its time; it goes on by itself. */
  readonly failed?: (error: unknown) => void;
  readonly listed?: () => void;
}

const pageSize = 250;
const listTimeoutMs = 60_000;
/** A watch that ends sooner by itself and brought nothing counts as a failure: else it would be asked for without pause. */
const watchMsMin = 500;
const doublingsMax = 20;

/**
 * Knows what a collection holds: lists it, watches from there, goes on where a connection ended, and lists again only where
 * that cannot be. Survives every failure, with growing pauses.
 */
export class Informer {
  readonly #options: InformerOptions;
  readonly #times: InformerTimes;
  readonly #cache = new ObjectCache();
  /** Up to where everything is known; undefined: to be listed. */
  #version: string | undefined;
  #isSynced = false;
  #trouble: string | undefined;

  constructor(options: InformerOptions) {
    this.#options = options;
    this.#times = options.times ?? informerTimes;
  }

  get collection(): Collection {
    return this.#options.collection;
  }

  get(key: string): KubeObject | undefined {
    return this.#cache.get(key);
  }

  values(): IterableIterator<KubeObject> {
    return this.#cache.values();
  }

  get size(): number {
    return this.#cache.size;
  }

  /** Has been listed once. */
  get isSynced(): boolean {
    return this.#isSynced;
  }

  /** What is wrong just now, if something is. */
  get trouble(): string | undefined {
    return this.#trouble;
  }

  /** Until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    let failures = 0;
    while (!signal.aborted) {
      try {
        this.#version ??= await this.#list(signal);
        await this.#watch(this.#version, signal, () => {
          failures = 0;
          this.#trouble = undefined;
        });
      } catch (error) {
        if (signal.aborted) return;
        this.#note(error);
        await this.#pause(failures, error, signal);
        failures += 1;
      }
    }
  }

  async #list(signal: AbortSignal): Promise<string> {
    const { http, collection } = this.#options;
    const objects: KubeObject[] = [];
    let version = '';
    let next: string | undefined;
    do {
      const answer = await http.call({
        method: 'GET',
        path: collectionPath(collection.kind, collection.namespace),
        query: {
          limit: `${pageSize}`,
          continue: next,
          labelSelector: collection.labelSelector,
        },
        timeoutMs: listTimeoutMs,
        signal,
        doing: `list the ${collection.kind.plural}`,
      });
      const page = pageOf(collection.kind, answer);
      objects.push(...page.items.map(withoutManagedFields));
      version = page.resourceVersion;
      next = page.next;
    } while (next !== undefined);
    this.#tell(this.#cache.replace(objects));
    this.#isSynced = true;
    this.#trouble = undefined;
    this.#options.listed?.();
    return version;
  }

  async #watch(from: string, signal: AbortSignal, works: () => void): Promise<void> {
    const { http, collection } = this.#options;
    const { watchMs, graceMs } = this.#times;
    const began = performance.now();
    const events = watchStream({ http, collection, from, watchMs, graceMs, signal });
    let isQuiet = true;
    for await (const event of events) {
      isQuiet = false;
      works();
      if (event.type === 'bookmark') {
        this.#version = event.resourceVersion;
        continue;
      }
      const object = withoutManagedFields(event.object);
      this.#version = object.metadata.resourceVersion ?? this.#version;
      this.#tell(event.type === 'put' ? this.#cache.put(object) : this.#cache.remove(object));
    }
    if (isQuiet && performance.now() - began < watchMsMin)
      throw new PlatformError(
        'UPSTREAM_UNAVAILABLE',
        `Cannot watch the ${collection.kind.plural}: the watch ended at once`,
      );
    works();
  }

  #tell(changes: readonly Change[]): void {
    for (const change of changes) this.#options.changed(change);
  }

  #note(error: unknown): void {
    this.#trouble = error instanceof Error ? error.message : 'unknown';
    if (mustListAgain(error)) this.#version = undefined;
    this.#options.failed?.(error);
  }

  async #pause(failures: number, error: unknown, signal: AbortSignal): Promise<void> {
    const { pauseMsMin, pauseMsMax } = this.#times;
    const whole = Math.min(pauseMsMax, pauseMsMin * 2 ** Math.min(failures, doublingsMax));
    const asked = error instanceof PlatformError ? error.details['retryAfterMs'] : undefined;
    const leastMs = typeof asked === 'number' ? Math.min(asked, pauseMsMax) : 0;
    const pauseMs = Math.max(leastMs, whole * (0.5 + Math.random() / 2));
    await sleep(pauseMs, undefined, { signal }).catch(() => undefined);
  }
}

/** Where a watch may go on from its last version; whatever else the server says, only a list is sure. */
function mustListAgain(error: unknown): boolean {
  if (!(error instanceof PlatformError)) return true;
  const { status } = error.details;
  return typeof status === 'number' && ![401, 403, 429, 500, 502, 503].includes(status);
}
