import { createHash } from 'node:crypto';
import { PlatformError } from '@domicile/core/errors.ts';
import { secretKind } from '../../model/kinds.ts';
import type { Kube, KubeCache, KubeObject } from '../../runtime/kube.ts';

export type SecretData = Readonly<Record<string, string>>;

export interface SecretRef {
  readonly name: string;
  readonly namespace: string;
}

export interface KeptSecret {
  readonly data: SecretData;
  readonly annotations: Readonly<Record<string, string>>;
}

interface KeeperParts {
  readonly kube: Kube;
  readonly cache: KubeCache;
  readonly labels: Readonly<Record<string, string>>;
}

/** Secrets that are made once and then neither lost nor made again. */
export class SecretKeeper {
  readonly #parts: KeeperParts;

  constructor(parts: KeeperParts) {
    this.#parts = parts;
  }

  /** Decoded; undefined if there is none. */
  async read(ref: SecretRef): Promise<KeptSecret | undefined> {
    const { cache, kube } = this.#parts;
    const object = cache.get(secretKind, ref) ?? (await kube.get(secretKind, ref));
    return object && keptOf(object);
  }

  /** Throws `CONFIG_INVALID` if it is not there or lacks one of the keys. */
  async demand(ref: SecretRef, keys: readonly string[]): Promise<SecretData> {
    const data = (await this.read(ref))?.data ?? {};
    const missing = keys.filter((key) => (data[key] ?? '') === '');
    if (missing.length === 0) return data;
    throw new PlatformError(
      'CONFIG_INVALID',
      `Cannot go on: create the Secret ${ref.name} in ${ref.namespace} with ${missing.join(', ')}`,
      { details: { reason: 'SecretMissing' } },
    );
  }

  /** The one that is there, or else a new one; never two. */
  async once(ref: SecretRef, make: () => Promise<SecretData>): Promise<KeptSecret> {
    const found = await this.read(ref);
    if (found) return found;
    try {
      return keptOf(await this.#parts.kube.create(secretKind, this.#objectOf(ref, await make())));
    } catch (error) {
      if (!(error instanceof PlatformError) || error.code !== 'CONFLICT') throw error;
      const made = await this.#parts.kube.get(secretKind, ref);
      if (made) return keptOf(made);
      throw error;
    }
  }

  /** Makes it hold these; other keys and annotations of it stay. Writes only if something differs. */
  async hold(
    ref: SecretRef,
    data: SecretData,
    annotations: Readonly<Record<string, string>> = {},
  ): Promise<void> {
    const found = await this.read(ref);
    const isHeld =
      found !== undefined &&
      Object.entries(data).every(([key, value]) => found.data[key] === value) &&
      Object.entries(annotations).every(([key, value]) => found.annotations[key] === value);
    if (isHeld) return;
    await this.#parts.kube.apply(secretKind, this.#objectOf(ref, data, annotations));
  }

  #objectOf(
    { name, namespace }: SecretRef,
    data: SecretData,
    annotations: Readonly<Record<string, string>> = {},
  ): KubeObject {
    return {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: {
        name,
        namespace,
        labels: this.#parts.labels,
        ...(Object.keys(annotations).length > 0 && { annotations }),
      },
      type: 'Opaque',
      data: Object.fromEntries(
        Object.entries(data).map(([key, value]) => [key, Buffer.from(value).toString('base64')]),
      ),
    };
  }
}

/** Tells one content of a Secret from another, and nothing of it. */
export function digestOf(data: SecretData): string {
  const text = JSON.stringify(Object.entries(data).toSorted(([a], [b]) => (a < b ? -1 : 1)));
  return createHash('sha256').update(text).digest('hex').slice(0, 16);
}

function keptOf(object: KubeObject): KeptSecret {
  const data = object['data'];
  const entries = typeof data === 'object' && data !== null ? Object.entries(data) : [];
  return {
    data: Object.fromEntries(
      entries.flatMap(([key, value]: [string, unknown]) =>
        typeof value === 'string' ? [[key, Buffer.from(value, 'base64').toString()]] : [],
      ),
    ),
    annotations: object.metadata.annotations ?? {},
  };
}
