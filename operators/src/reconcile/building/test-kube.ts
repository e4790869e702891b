import { isDeepStrictEqual } from 'node:util';
import { PlatformError } from '@domicile/core/errors.ts';
import { withCondition } from '../../model/condition.ts';
import type { Kind, Kube, KubeCache, KubeObject, Ref } from '../../runtime/kube.ts';
import type { StatusNow, StatusWriter } from '../../runtime/status-writer.ts';

type Fields = Readonly<Record<string, unknown>>;

/** An API server in memory, for what reconcilers do with it. It notes what they write. */
export class MemoryKube {
  readonly #objects = new Map<string, KubeObject>();
  #version = 0;
  readonly writes: string[] = [];
  /** Asked before each write; throws to refuse it. */
  refuse: (kind: Kind, ref: Ref) => void = () => undefined;

  /** What a user does: it is not noted. */
  put(kind: Kind, object: KubeObject): KubeObject {
    const key = keyOf(kind, object.metadata);
    const before = this.#objects.get(key);
    this.#version += 1;
    const isSpecSame = JSON.stringify(before?.['spec']) === JSON.stringify(object['spec']);
    const isGoing =
      object.metadata.deletionTimestamp !== undefined &&
      before?.metadata.deletionTimestamp === undefined;
    const stored = {
      ...object,
      metadata: {
        ...object.metadata,
        creationTimestamp: before?.metadata.creationTimestamp ?? timeOf(this.#version),
        uid: before?.metadata.uid ?? `uid-${this.#version}`,
        generation: (before?.metadata.generation ?? 0) + (isSpecSame && before && !isGoing ? 0 : 1),
        resourceVersion: `${this.#version}`,
      },
    };
    const isGone =
      stored.metadata.deletionTimestamp !== undefined && !stored.metadata.finalizers?.length;
    if (isGone) this.#objects.delete(key);
    else this.#objects.set(key, stored);
    return stored;
  }

  /** As a user; an object stays while it has finalizers. */
  drop(kind: Kind, ref: Ref): void {
    const found = this.seen(kind, ref);
    if (!found) return;
    const metadata = { ...found.metadata, deletionTimestamp: timeOf(this.#version) };
    this.put(kind, { ...found, metadata });
  }

  /** Whatever finalizers it has. */
  vanish(kind: Kind, ref: Ref): void {
    this.#objects.delete(keyOf(kind, ref));
  }

  /** As it was, with its uid and its age. */
  restore(kind: Kind, object: KubeObject): void {
    this.#objects.set(keyOf(kind, object.metadata), object);
  }

  annotate(kind: Kind, ref: Ref, annotations: Readonly<Record<string, string>>): void {
    const found = this.seen(kind, ref);
    if (found) this.put(kind, { ...found, metadata: { ...found.metadata, annotations } });
  }

  seen(kind: Kind, ref: Ref): KubeObject | undefined {
    return this.#objects.get(keyOf(kind, ref));
  }

  all(kind: Kind): KubeObject[] {
    return [...this.#objects]
      .filter(([key]) => key.startsWith(`${kind.plural} `))
      .map(([, object]) => object);
  }

  readonly kube: Kube = {
    get: async (kind, ref) => this.seen(kind, ref),
    list: async (kind) => this.all(kind),
    apply: async (kind, object) => this.#write('apply', kind, object),
    create: async (kind, object) => {
      if (this.seen(kind, object.metadata)) throw conflict();
      return this.#write('create', kind, object);
    },
    patch: async (kind, ref, patch) => {
      const found = this.seen(kind, ref);
      if (!found) throw new PlatformError('NOT_FOUND', 'Cannot patch: there is no such object');
      const version = isFields(patch) && isFields(patch['metadata']) && patch['metadata'];
      const asked = version ? version['resourceVersion'] : undefined;
      if (asked !== undefined && asked !== found.metadata.resourceVersion) throw conflict();
      const merged = merge(found, patch);
      return this.#write('patch', kind, { ...found, ...(isFields(merged) ? merged : {}) });
    },
    delete: async (kind, ref, { uid }) => {
      const found = this.seen(kind, ref);
      if (!found) return;
      if (found.metadata.uid !== uid) throw conflict();
      this.#note('delete', kind, ref);
      this.#objects.delete(keyOf(kind, ref));
    },
  };

  readonly cache: KubeCache = {
    get: (kind, ref) => this.seen(kind, ref),
    list: (kind) => this.all(kind),
  };

  readonly status: StatusWriter = {
    write: async (kind, seen, { conditions, fields = {} }: StatusNow) => {
      const before = this.seen(kind, seen.metadata);
      if (before?.metadata.resourceVersion !== seen.metadata.resourceVersion) throw conflict();
      const present = conditionsIn(seen);
      const observedGeneration = seen.metadata.generation ?? 0;
      const lastTransitionTime = timeOf(this.#version);
      const all = conditions.reduce(
        (some, one) => withCondition(some, { ...one, observedGeneration, lastTransitionTime }),
        present,
      );
      const sorted = all.toSorted((a, b) => (a.type < b.type ? -1 : 1));
      const status = { ...fields, observedGeneration, conditions: sorted };
      if (isDeepStrictEqual(seen['status'], status)) return seen;
      return this.#write('status', kind, { ...seen, status });
    },
  };

  #write(verb: string, kind: Kind, object: KubeObject): KubeObject {
    this.#note(verb, kind, object.metadata);
    return this.put(kind, object);
  }

  #note(verb: string, kind: Kind, ref: Ref): void {
    this.refuse(kind, ref);
    this.writes.push(`${verb} ${kind.plural} ${ref.name}`);
  }
}

/** The conditions of an object, by type. */
export function conditionsOf(object: KubeObject | undefined): Record<string, string> {
  return Object.fromEntries(
    object
      ? conditionsIn(object).map(({ type, status, reason }) => [type, `${status} ${reason}`])
      : [],
  );
}

function conditionsIn({ status }: KubeObject): Parameters<typeof withCondition>[0] {
  return isFields(status) && Array.isArray(status['conditions']) ? status['conditions'] : [];
}

function keyOf({ plural }: Kind, { namespace = '', name }: Ref): string {
  return `${plural} ${namespace} ${name}`;
}

/** Rises with the versions, so that what is made later is younger. */
function timeOf(version: number): string {
  return new Date(Date.UTC(2026, 10, 23, 7) + version * 1000).toISOString();
}

function conflict(): PlatformError {
  return new PlatformError('CONFLICT', 'Cannot write: it is there, or has changed');
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** RFC 7396. */
function merge(into: unknown, patch: unknown): unknown {
  if (!isFields(patch)) return patch;
  const merged: Record<string, unknown> = isFields(into) ? { ...into } : {};
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete merged[key];
    else if (value !== undefined) merged[key] = merge(merged[key], value);
  }
  return merged;
}
