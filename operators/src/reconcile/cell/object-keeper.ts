import { createHash } from 'node:crypto';
import { InvariantError, must } from '@domicile/core/invariants.ts';
import { z } from 'zod';
import { withoutForeignContainers } from '../../model/cell/foreign-containers.ts';
import * as kinds from '../../model/kinds.ts';
import { mergePatchOf } from '../../model/merge-patch.ts';
import type { Kind, Kube, KubeCache, KubeObject, Ref } from '../../runtime/kube.ts';

/** Of what is made for a cell and may be taken back: those with the Cell as their owner. */
const prunable: readonly Kind[] = [
  kinds.autoscalerKind,
  kinds.deploymentKind,
  kinds.statefulSetKind,
  kinds.serviceKind,
  kinds.disruptionBudgetKind,
  kinds.networkPolicyKind,
  kinds.serviceAccountKind,
  kinds.configMapKind,
  kinds.admissionBindingKind,
  kinds.admissionPolicyKind,
];

const byName = new Map(
  [...prunable, kinds.namespaceKind, kinds.volumeClaimKind].map((kind) => [kind.kind, kind]),
);

export function kindOf({ kind }: KubeObject): Kind {
  return must(byName.get(kind), `the kind ${kind} is one of a cell`);
}

/** What somebody adds to these weakens them, so their `spec` is ours as a whole; an apply would leave it. */
const wholes = new Set([kinds.admissionBindingKind, kinds.admissionPolicyKind]);

const plainFields = z.record(z.string(), z.unknown());

interface KeeperParts {
  readonly kube: Kube;
  readonly cache: KubeCache;
}

/** Brings objects about, and asks the API server only about those that changed since. */
export class ObjectKeeper {
  readonly #parts: KeeperParts;
  /** By kind and name: what was wanted, and the version that then stood. */
  readonly #kept = new Map<string, { readonly wanted: string; readonly version: string }>();

  constructor(parts: KeeperParts) {
    this.#parts = parts;
  }

  /** Whether it was written. */
  async keep(object: KubeObject): Promise<boolean> {
    const kind = kindOf(object);
    const ref = refOf(object);
    const key = `${kind.kind} ${ref.namespace ?? ''}/${ref.name}`;
    const wanted = createHash('sha256').update(JSON.stringify(object)).digest('base64');
    const before = this.#parts.cache.get(kind, ref)?.metadata.resourceVersion;
    const kept = this.#kept.get(key);
    if (kept?.wanted === wanted && kept.version === before) return false;
    const now = await this.#whole(kind, object, await this.#parts.kube.apply(kind, object));
    const version = now.metadata.resourceVersion;
    if (version === undefined) throw new InvariantError(`${key} has no version`);
    this.#kept.set(key, { wanted, version });
    return version !== before;
  }

  async #whole(kind: Kind, object: KubeObject, applied: KubeObject): Promise<KubeObject> {
    const patch = wholes.has(kind)
      ? mergePatchOf(applied['spec'], plainFields.parse(object['spec']))
      : withoutForeignContainers(object, applied);
    if (patch === undefined) return applied;
    const { resourceVersion } = applied.metadata;
    return this.#parts.kube.patch(kind, refOf(object), {
      metadata: { resourceVersion },
      spec: patch,
    });
  }

  /** Takes back what is owned by `ownerUid` and wanted no more. */
  async prune(
    ownerUid: string,
    namespace: string,
    wanted: readonly KubeObject[],
  ): Promise<readonly string[]> {
    const names = new Set(wanted.map(({ kind, metadata }) => `${kind} ${metadata.name}`));
    const taken: string[] = [];
    for (const kind of prunable) {
      const found = this.#parts.cache.list(kind, kind.namespaced ? { namespace } : {});
      for (const { metadata } of found) {
        const { uid, name, deletionTimestamp, ownerReferences = [] } = metadata;
        const isOurs = ownerReferences.some((owner) => owner.uid === ownerUid);
        const isControlled = isOurs && deletionTimestamp === undefined && uid !== undefined;
        if (!isControlled || names.has(`${kind.kind} ${name}`)) continue;
        await this.#parts.kube.delete(kind, refOf({ metadata }), { uid });
        taken.push(`${kind.kind} ${name}`);
      }
    }
    return taken;
  }
}

function refOf({ metadata }: Pick<KubeObject, 'metadata'>): Ref {
  const { name, namespace } = metadata;
  return namespace === undefined ? { name } : { name, namespace };
}
