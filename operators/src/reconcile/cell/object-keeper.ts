import { createHash } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
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

/** What came of an object; `restored`: it stood as it should, and somebody else changed or deleted it. */
export type Kept = 'as-it-was' | 'written' | 'restored';

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

  async keep(object: KubeObject): Promise<Kept> {
    const kind = kindOf(object);
    const ref = refOf(object);
    const key = `${kind.kind} ${ref.namespace ?? ''}/${ref.name}`;
    const wanted = createHash('sha256').update(JSON.stringify(object)).digest('base64');
    const before = this.#parts.cache.get(kind, ref);
    const kept = this.#kept.get(key);
    if (kept?.wanted === wanted && kept.version === before?.metadata.resourceVersion)
      return 'as-it-was';
    const now = await this.#whole(kind, object, await this.#parts.kube.apply(kind, object));
    const version = now.metadata.resourceVersion;
    if (version === undefined) throw new InvariantError(`${key} has no version`);
    this.#kept.set(key, { wanted, version });
    if (version === kept?.version || (before && isSame(before, now))) return 'as-it-was';
    return kept?.wanted === wanted ? 'restored' : 'written';
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

/** But for what the API server and controllers of the cluster write by themselves. */
function isSame(before: KubeObject, now: KubeObject): boolean {
  return isDeepStrictEqual(contentOf(before), contentOf(now));
}

const ofController = 'deployment.kubernetes.io/revision';

function contentOf(object: KubeObject): unknown {
  const { apiVersion: _version, kind: _kind, status: _status, metadata, ...content } = object;
  const { uid, labels, annotations = {}, ownerReferences } = metadata;
  const { [ofController]: _revision, ...others } = annotations;
  const named = { uid, labels, annotations: others, ownerReferences };
  // Through JSON, since a field that is undefined is none.
  return JSON.parse(JSON.stringify({ ...content, named }));
}
