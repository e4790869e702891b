import { PlatformError } from '@domicile/core/errors.ts';
import {
  type EnrolmentChange,
  enrolmentKey,
  enrolmentSecretName,
  enrolmentShardOf,
  enrolmentToWrite,
  readEnrolment,
} from '../../model/building/enrolment.ts';
import { secretKind } from '../../model/kinds.ts';
import type { Kube, KubeObject } from '../../runtime/kube.ts';

interface Waiting {
  readonly change: EnrolmentChange;
  readonly settled: PromiseWithResolvers<void>;
}

const attemptsMax = 5;
/** Of a Secret the API server takes 1 MiB, keys and base64 included. */
const shardBytesMax = 1_000_000;

/** On the Secrets of enrolments: what is watched of them. */
export const enrolmentLabel = 'domicile.dev/enrolments';

/**
 * Who may enrol, in Secrets that the issuer mounts: one for each share of the buildings. Changes of one Secret that come
 * meanwhile are written together, with the version that was read: a leader that was paused changes nothing.
 */
export class EnrolmentDesk {
  readonly #kube: Kube;
  readonly #namespace: string;
  readonly #shards = new Map<number, Waiting[]>();
  readonly #pumping = new Set<number>();
  /** What each building's entry was when it was last written or found right, base64. */
  readonly #known = new Map<string, string>();

  constructor(kube: Kube, namespace: string) {
    this.#kube = kube;
    this.#namespace = namespace;
  }

  /** Resolves when it is there. Throws what the API server throws, `STORE_FULL` if the Secret has no room left. */
  put(change: EnrolmentChange): Promise<void> {
    const shard = enrolmentShardOf(change.building);
    const settled = Promise.withResolvers<void>();
    const waiting = this.#shards.get(shard) ?? [];
    waiting.push({ change, settled });
    this.#shards.set(shard, waiting);
    if (!this.#pumping.has(shard)) void this.#pump(shard);
    return settled.promise;
  }

  /** Buildings whose entry is no longer what it was made here. `isGone`: the Secret was deleted. */
  drifted(secret: KubeObject, isGone: boolean): Set<string> {
    const found = isGone ? new Map<string, string>() : dataOf(secret);
    const ours = [...this.#known].filter(
      ([building]) => enrolmentSecretName(enrolmentShardOf(building)) === secret.metadata.name,
    );
    return new Set(
      ours
        .filter(([building, value]) => found.get(enrolmentKey(building)) !== value)
        .map(([building]) => building),
    );
  }

  async #pump(shard: number): Promise<void> {
    this.#pumping.add(shard);
    await Promise.resolve();
    for (let batch = this.#take(shard); batch.length > 0; batch = this.#take(shard)) {
      try {
        await this.#write(
          shard,
          batch.map(({ change }) => change),
        );
        for (const { settled } of batch) settled.resolve();
      } catch (error) {
        for (const { settled } of batch) settled.reject(error);
      }
    }
    this.#pumping.delete(shard);
  }

  #take(shard: number): Waiting[] {
    const waiting = this.#shards.get(shard) ?? [];
    this.#shards.delete(shard);
    return waiting;
  }

  async #write(shard: number, changes: readonly EnrolmentChange[]): Promise<void> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await this.#writeOnce(shard, changes);
      } catch (error) {
        const isConflict = error instanceof PlatformError && error.code === 'CONFLICT';
        if (!isConflict || attempt === attemptsMax) throw error;
      }
    }
  }

  async #writeOnce(shard: number, changes: readonly EnrolmentChange[]): Promise<void> {
    const ref = { name: enrolmentSecretName(shard), namespace: this.#namespace };
    const present = await this.#kube.get(secretKind, ref);
    const found = dataOf(present);
    const data: Record<string, string | null> = {};
    for (const change of changes) {
      const key = enrolmentKey(change.building);
      const before = found.get(key);
      const value = enrolmentToWrite(
        change,
        before === undefined ? undefined : Buffer.from(before, 'base64').toString(),
      );
      if (value !== undefined)
        data[key] = value === null ? null : Buffer.from(value).toString('base64');
    }
    const wanted = { ...Object.fromEntries(found), ...data };
    if (!present || Object.keys(data).length > 0) {
      requireRoom(ref.name, wanted);
      await this.#store(ref, { shard, present, data });
    }
    for (const { building } of changes) {
      const value = wanted[enrolmentKey(building)] ?? undefined;
      if (value === undefined) this.#known.delete(building);
      else this.#known.set(building, value);
    }
  }

  async #store(
    ref: { name: string; namespace: string },
    of: {
      readonly shard: number;
      readonly present: KubeObject | undefined;
      readonly data: Readonly<Record<string, string | null>>;
    },
  ): Promise<void> {
    const { shard, present, data } = of;
    const resourceVersion = present?.metadata.resourceVersion;
    if (present) await this.#kube.patch(secretKind, ref, { metadata: { resourceVersion }, data });
    else await this.#kube.create(secretKind, emptyShard(ref, shard, data));
  }
}

function emptyShard(
  ref: { name: string; namespace: string },
  shard: number,
  data: Readonly<Record<string, string | null>>,
): KubeObject {
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: {
      ...ref,
      labels: {
        'app.kubernetes.io/managed-by': 'domicile-operator',
        'app.kubernetes.io/part-of': 'domicile',
        [enrolmentLabel]: `${shard}`,
      },
    },
    type: 'Opaque',
    data: Object.fromEntries(Object.entries(data).filter(([, value]) => value !== null)),
  };
}

/** By whose digest its gateway enrols, as a Secret of enrolments says; undefined if it says none. */
export function tokenIn(secret: KubeObject | undefined, building: string): string | undefined {
  const entry = dataOf(secret).get(enrolmentKey(building));
  return entry === undefined
    ? undefined
    : readEnrolment(Buffer.from(entry, 'base64').toString())?.tokenSha256;
}

function dataOf(secret: KubeObject | undefined): Map<string, string> {
  const data = secret?.['data'];
  if (data === undefined || data === null || typeof data !== 'object') return new Map();
  return new Map(
    Object.entries(data).flatMap(([key, value]): [string, string][] =>
      typeof value === 'string' ? [[key, value]] : [],
    ),
  );
}

function requireRoom(name: string, data: Readonly<Record<string, string | null>>): void {
  let bytes = 0;
  for (const [key, value] of Object.entries(data)) bytes += key.length + (value?.length ?? 0);
  if (bytes > shardBytesMax)
    throw new PlatformError(
      'STORE_FULL',
      `Cannot admit more gateways: the Secret ${name} is full; run a second cell for more buildings`,
    );
}
