import type { Change } from '../model/object-cache.ts';
import type { Informer } from './informer.ts';
import { apiVersionOf, keyOf } from './kube-path.ts';
import type { CacheListOptions, Kind, KubeCache, KubeObject, Ref } from './kube.ts';
import type { Collection } from './watch-stream.ts';

type Listener = (change: Change) => void;

/** One informer for each collection that somebody needs, and what they know as one cache. */
export class Informers implements KubeCache {
  readonly #byKind = new Map<string, Map<string, Shared>>();
  readonly #make: (collection: Collection, changed: Listener) => Informer;

  constructor(make: (collection: Collection, changed: Listener) => Informer) {
    this.#make = make;
  }

  /** Watches it, once for all who need it; each is told every change. */
  need(collection: Collection, listener: Listener): void {
    const { kind, namespace = '', labelSelector = '' } = collection;
    const known = this.#byKind.get(kindKey(kind)) ?? new Map<string, Shared>();
    this.#byKind.set(kindKey(kind), known);
    const key = `${namespace}?${labelSelector}`;
    const shared = known.get(key) ?? this.#share(collection);
    known.set(key, shared);
    shared.listeners.push(listener);
  }

  #share(collection: Collection): Shared {
    const listeners: Listener[] = [];
    const informer = this.#make(collection, (change) => {
      for (const listener of listeners) listener(change);
    });
    return { informer, listeners };
  }

  get all(): readonly Informer[] {
    return [...this.#byKind.values()].flatMap((known) =>
      [...known.values()].map(({ informer }) => informer),
    );
  }

  /** What is not listed yet, and why. */
  get unsynced(): readonly string[] {
    return this.all
      .filter(({ isSynced }) => !isSynced)
      .map(({ collection: { kind, namespace }, trouble }) => {
        const where = namespace === undefined ? '' : ` in ${namespace}`;
        const why = trouble === undefined ? 'being listed' : trouble;
        return `${kind.plural}${where}: ${why}`;
      });
  }

  get(kind: Kind, ref: Ref): KubeObject | undefined {
    for (const { informer } of this.#of(kind)) {
      const object = informer.get(keyOf(ref));
      if (object !== undefined) return object;
    }
    return undefined;
  }

  list(kind: Kind, { namespace, labels = {} }: CacheListOptions = {}): readonly KubeObject[] {
    const wanted = Object.entries(labels);
    const found = new Map<string, KubeObject>();
    for (const { informer } of this.#of(kind))
      for (const object of informer.values()) {
        const { metadata } = object;
        if (namespace !== undefined && metadata.namespace !== namespace) continue;
        if (!wanted.every(([name, value]) => metadata.labels?.[name] === value)) continue;
        found.set(keyOf(metadata), object);
      }
    return [...found.values()];
  }

  #of(kind: Kind): Iterable<Shared> {
    const informers = this.#byKind.get(kindKey(kind));
    if (informers === undefined)
      throw new Error(`${kind.plural} are not watched: name them in the reconciler's dependencies`);
    return informers.values();
  }
}

interface Shared {
  readonly informer: Informer;
  readonly listeners: Listener[];
}

function kindKey(kind: Kind): string {
  return `${apiVersionOf(kind)}/${kind.plural}`;
}
