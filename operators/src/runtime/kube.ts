/** An API object as raw JSON: typed models drop fields that they do not know. */
export interface KubeObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: ObjectMeta;
  readonly [field: string]: unknown;
}

export interface ObjectMeta {
  readonly name: string;
  readonly namespace?: string;
  readonly uid?: string;
  readonly resourceVersion?: string;
  readonly generation?: number;
  readonly creationTimestamp?: string;
  readonly deletionTimestamp?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly finalizers?: readonly string[];
  readonly ownerReferences?: readonly OwnerReference[];
  readonly [field: string]: unknown;
}

export interface OwnerReference {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly uid: string;
  readonly controller?: boolean;
  readonly blockOwnerDeletion?: boolean;
}

/** A kind and where the API serves it; group '' is the core group. */
export interface Kind {
  readonly group: string;
  readonly version: string;
  readonly kind: string;
  readonly plural: string;
  readonly namespaced: boolean;
}

export interface Ref {
  readonly name: string;
  /** Absent for what is of the cluster. */
  readonly namespace?: string;
}

export interface ApplyOptions {
  /** Takes fields over from other managers; default true. */
  readonly force?: boolean;
  readonly subresource?: 'status';
  /** Checked by the server, and nothing is stored. */
  readonly dryRun?: boolean;
}

export interface PatchOptions {
  readonly subresource?: 'status';
}

export interface ListOptions {
  /** Absent: of all namespaces. */
  readonly namespace?: string;
  readonly labelSelector?: string;
}

/**
 * The API server, as reconcilers see it. Throws `CONFLICT` (409), `NOT_FOUND` (404 where the object must be there), `FORBIDDEN`
 * (401, 403), `VALUE_INVALID` (400, 422, with the server's message), `RATE_LIMITED` (429) and `UPSTREAM_UNAVAILABLE` for
 * whatever may pass by itself.
 */
export interface Kube {
  /** Undefined if there is none. */
  get(kind: Kind, ref: Ref): Promise<KubeObject | undefined>;
  list(kind: Kind, options?: ListOptions): Promise<readonly KubeObject[]>;
  /**
   * Server-side apply of the fields that are ours. Reads first and writes only if the apply would change something, so that a
   * steady state makes no writes; answers the object as it then is.
   */
  apply(kind: Kind, object: KubeObject, options?: ApplyOptions): Promise<KubeObject>;
  /** Creates, throws `CONFLICT` if it is there. For what must not be taken over: secrets that were made once. */
  create(kind: Kind, object: KubeObject): Promise<KubeObject>;
  /** JSON merge patch; with a `resourceVersion` in the patch it throws `CONFLICT` if the object has changed since. */
  patch(kind: Kind, ref: Ref, patch: unknown, options?: PatchOptions): Promise<KubeObject>;
  /** Only the object with that uid and, if given, that version: throws `CONFLICT` for another, resolves if it is gone. */
  delete(
    kind: Kind,
    ref: Ref,
    only: { readonly uid: string; readonly resourceVersion?: string },
  ): Promise<void>;
}

/**
 * What is watched: the kinds of the reconcilers and of their dependencies, as they were a moment ago, without `managedFields`.
 * Costs no request. Asking for a kind that nobody watches is a bug and throws.
 */
export interface KubeCache {
  get(kind: Kind, ref: Ref): KubeObject | undefined;
  /** In no order. `labels` must all be there with these values. */
  list(kind: Kind, options?: CacheListOptions): readonly KubeObject[];
}

export interface CacheListOptions {
  readonly namespace?: string;
  readonly labels?: Readonly<Record<string, string>>;
}
