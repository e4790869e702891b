import { lowerCountry } from '@domicile/core/identities.ts';
import { z } from 'zod';
import { type CellPlan, labelsOf } from '../../model/cell/plan.ts';
import { revokedConfig, revokedKey } from '../../model/cell/workloads.ts';
import { configMapKind, deploymentKind } from '../../model/kinds.ts';
import type { KubeObject, Ref } from '../../runtime/kube.ts';
import type { OperatorPorts } from '../../runtime/ports.ts';

const empty = '# Serial numbers of revoked certificates, hexadecimal, one a line\n';
const configSchema = z.object({ data: z.record(z.string(), z.string()).default({}) });

/**
 * The list of revoked certificates. People write it, where brokers read it; a copy lies beside the authority, so that a namespace
 * that is deleted, or a cluster that is lost, lets no stolen gateway in again.
 */
export class Revocations {
  readonly #ports: OperatorPorts;
  /** What the copy holds, if it was looked at. */
  #copied: string | undefined;

  constructor(ports: OperatorPorts) {
    this.#ports = ports;
  }

  async keep(cell: KubeObject, plan: CellPlan): Promise<void> {
    const { cache, kube, namespace } = this.#ports;
    const ref = { name: revokedConfig, namespace: plan.spec.namespace };
    const copy = { name: `${revokedConfig}-${lowerCountry(plan.spec.country)}`, namespace };
    const found = cache.get(configMapKind, ref) ?? (await kube.get(configMapKind, ref));
    if (found === undefined) return this.#restore(cell, plan, { ref, copy });
    const list = listOf(found);
    // A list that somebody emptied is none that anybody needs a copy of.
    if (!namesAny(list) || list === this.#copied) return;
    await kube.apply(configMapKind, configOf(copy, plan, list));
    this.#copied = list;
  }

  async #restore(
    cell: KubeObject,
    plan: CellPlan,
    { ref, copy }: { readonly ref: Ref; readonly copy: Ref },
  ): Promise<void> {
    const { cache, kube, events } = this.#ports;
    const kept = await kube.get(configMapKind, copy);
    const list = kept === undefined ? empty : listOf(kept);
    await kube.create(configMapKind, configOf(ref, plan, list));
    if (kept === undefined && cache.get(deploymentKind, { ...ref, name: 'broker' }) === undefined)
      return;
    const note = namesAny(list)
      ? `the ConfigMap ${revokedConfig} was gone and is as it was last seen: look whether serial numbers are missing`
      : `the ConfigMap ${revokedConfig} was deleted and is empty now: write the serial numbers of revoked certificates into it again`;
    const reason = namesAny(list) ? 'RevocationsRestored' : 'RevocationsLost';
    events.record(cell, { type: 'Warning', reason, action: 'Reconcile', note });
  }
}

function configOf(ref: Ref, plan: CellPlan, list: string): KubeObject {
  return {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { ...ref, labels: labelsOf(plan) },
    data: { [revokedKey]: list },
  };
}

function listOf(object: KubeObject): string {
  return configSchema.parse(object).data[revokedKey] ?? '';
}

function namesAny(list: string): boolean {
  return list.split('\n').some((line) => /^\s*[^#\s]/.test(line));
}
