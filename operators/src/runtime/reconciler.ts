import type { Kind, KubeObject, Ref } from './kube.ts';

/**
 * What became of one look at one object: there is nothing more to do; look again after a while; it failed and is tried again
 * with growing pauses; or it is refused until somebody changes it (the reason stands in its conditions).
 */
export type Outcome =
  | { readonly kind: 'done' }
  | { readonly kind: 'again'; readonly afterMs: number }
  | { readonly kind: 'failed'; readonly error: unknown }
  | { readonly kind: 'refused'; readonly reason: string };

/** An object that is watched because others depend on it. */
export interface Dependency {
  readonly kind: Kind;
  /** Absent: all, which wants a ClusterRole. */
  readonly namespaces?: readonly string[];
  readonly labelSelector?: string;
  /** Whose turn it is when such an object changes, or is gone, which another watch of it may not know yet. */
  readonly ownersOf: (object: KubeObject, isGone: boolean) => readonly Ref[];
}

/**
 * One kind's control loop. `reconcile` is called for one object at a time, and never for the same one twice at once.
 * It is disposed of when the process stops.
 */
export interface Reconciler extends Partial<AsyncDisposable> {
  readonly name: string;
  readonly kind: Kind;
  /** Absent: all, which wants a ClusterRole. */
  readonly namespaces?: readonly string[];
  /** Looked at as leading begins and at each resync, whether they are there or not. */
  readonly always?: readonly Ref[];
  readonly dependencies: readonly Dependency[];
  /** From one look at an object to the next one at least, where many things change at once; absent: none. */
  readonly restMs?: number;
  /** Looks at the whole state afresh (level-triggered); `object` is from the cache, undefined once it is gone. */
  reconcile(ref: Ref, object: KubeObject | undefined, signal: AbortSignal): Promise<Outcome>;
}
