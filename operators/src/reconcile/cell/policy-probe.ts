import { PlatformError } from '@domicile/core/errors.ts';
import type { CellPlan } from '../../model/cell/plan.ts';
import { podOf } from '../../model/cell/pod.ts';
import { workloadsOf } from '../../model/cell/workloads.ts';
import { deploymentKind } from '../../model/kinds.ts';
import type { Kube, KubeObject } from '../../runtime/kube.ts';

/**
 * Whether the API server refuses a workload without a pin by now: policies hold a moment after they are there. Nothing is stored.
 */
export async function policiesHold(kube: Kube, plan: CellPlan): Promise<boolean> {
  try {
    await kube.apply(deploymentKind, unpinned(plan), { dryRun: true });
    return false;
  } catch (error) {
    if (!(error instanceof PlatformError)) throw error;
    const isRefused = error.code === 'FORBIDDEN' || error.code === 'VALUE_INVALID';
    if (isRefused && error.message.includes('ValidatingAdmissionPolicy')) return true;
    throw error;
  }
}

function unpinned(plan: CellPlan): KubeObject {
  const [workload] = workloadsOf(plan);
  if (workload === undefined) throw new Error('a cell has workloads');
  const template = podOf(plan, workload);
  const { affinity: _pin, ...spec } = template.spec;
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
