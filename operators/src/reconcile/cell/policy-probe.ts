import { PlatformError } from '@domicile/core/errors.ts';
import { lowerCountry } from '@domicile/core/identities.ts';
import type { CellPlan } from '../../model/cell/plan.ts';
import { podOf } from '../../model/cell/pod.ts';
import { workloadsOf } from '../../model/cell/workloads.ts';
import { deploymentKind } from '../../model/kinds.ts';
import type { Kube, KubeObject } from '../../runtime/kube.ts';

/**
 * Whether the API server refuses a workload that is not pinned to the cell's regions by now: policies hold a moment after they are
 * there. Nothing is stored.
 */
export async function policiesHold(kube: Kube, plan: CellPlan): Promise<boolean> {
  try {
    await kube.apply(deploymentKind, pinnedElsewhere(plan), { dryRun: true });
    return false;
  } catch (error) {
    if (!(error instanceof PlatformError)) throw error;
    const isRefused = error.code === 'FORBIDDEN' || error.code === 'VALUE_INVALID';
    if (isRefused && error.message.includes('ValidatingAdmissionPolicy')) return true;
    throw error;
  }
}

/** Within the country, which the policies that know no Cell let pass. */
function pinnedElsewhere(plan: CellPlan): KubeObject {
  const site = `onprem-${lowerCountry(plan.spec.country)}-probe-of-the-policies`;
  const there = { ...plan, spec: { ...plan.spec, regions: [site] } };
  const [workload] = workloadsOf(there);
  if (workload === undefined) throw new Error('a cell has workloads');
  const { spec } = podOf(there, workload);
  const name = 'domicile-probe-of-the-policies';
  const labels = { probe: 'policies' };
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name, namespace: plan.spec.namespace },
    spec: {
      replicas: 0,
      selector: { matchLabels: labels },
      template: { metadata: { labels }, spec },
    },
  };
}
