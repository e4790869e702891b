import type { KubeObject } from '../../runtime/kube.ts';
import { componentLabels, type CellPlan, owned, selectorOf } from './plan.ts';
import { podOf } from './pod.ts';
import { adminPort, type Workload } from './workload.ts';

/** What one kind of process needs of the API server, in the order in which to make it. */
export function objectsOf(plan: CellPlan, workload: Workload): KubeObject[] {
  return [
    serviceAccount(plan, workload),
    ...workload.keeps.map((volume) => volumeClaim(plan, workload, volume)),
    ...(workload.ports.length > 0 || workload.kind === 'StatefulSet'
      ? [service(plan, workload)]
      : []),
    disruptionBudget(plan, workload),
    controller(plan, workload),
    ...(workload.replicasMax === undefined
      ? []
      : [autoscaler(plan, workload, workload.replicasMax)]),
  ];
}

function metadata(plan: CellPlan, { name }: Workload) {
  return {
    name,
    namespace: plan.spec.namespace,
    labels: componentLabels(plan, name),
    ...owned(plan),
  };
}

function serviceAccount(plan: CellPlan, workload: Workload): KubeObject {
  return {
    apiVersion: 'v1',
    kind: 'ServiceAccount',
    metadata: metadata(plan, workload),
    automountServiceAccountToken: false,
  };
}

/** Without an owner: what it holds outlives the Cell. */
function volumeClaim(
  plan: CellPlan,
  workload: Workload,
  { name, size }: Workload['keeps'][number],
): KubeObject {
  const { ownerReferences: _none, ...rest } = metadata(plan, workload);
  return {
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: { ...rest, name },
    spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: size } } },
  };
}

function service(plan: CellPlan, workload: Workload): KubeObject {
  const { name, serviceType, answersOperator } = workload;
  const admin = answersOperator ? [{ name: 'admin', port: adminPort }] : [];
  const ports = [...workload.ports, ...admin];
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: metadata(plan, workload),
    spec: {
      type: serviceType,
      selector: selectorOf(plan, name),
      ...(ports.length === 0 && { clusterIP: 'None' }),
      ...(ports.length > 0 && {
        ports: ports.map((one) => ({ ...one, targetPort: one.port, protocol: 'TCP' })),
      }),
    },
  };
}

/** One may go at a time, so that nodes can be drained even where there is only one. */
function disruptionBudget(plan: CellPlan, workload: Workload): KubeObject {
  return {
    apiVersion: 'policy/v1',
    kind: 'PodDisruptionBudget',
    metadata: metadata(plan, workload),
    spec: { maxUnavailable: 1, selector: { matchLabels: selectorOf(plan, workload.name) } },
  };
}

function controller(plan: CellPlan, workload: Workload): KubeObject {
  const { name, kind, rollout } = workload;
  const spec = {
    replicas: replicasOf(plan, workload),
    revisionHistoryLimit: 5,
    selector: { matchLabels: selectorOf(plan, name) },
    template: podOf(plan, workload),
  };
  if (kind === 'StatefulSet')
    return {
      apiVersion: 'apps/v1',
      kind,
      metadata: metadata(plan, workload),
      spec: { ...spec, serviceName: name, podManagementPolicy: 'Parallel' },
    };
  const strategy =
    rollout === 'recreate'
      ? { type: 'Recreate' }
      : { type: 'RollingUpdate', rollingUpdate: { maxUnavailable: 0, maxSurge: 1 } };
  return {
    apiVersion: 'apps/v1',
    kind,
    metadata: metadata(plan, workload),
    spec: { ...spec, strategy, progressDeadlineSeconds: 600 },
  };
}

/** Leaving it out would set it to 1 before the autoscaler has looked. */
function replicasOf(plan: CellPlan, { name, replicas, replicasMax }: Workload): number {
  if (replicasMax === undefined) return replicas;
  return Math.min(Math.max(plan.replicasNow.get(name) ?? replicas, replicas), replicasMax);
}

function autoscaler(plan: CellPlan, workload: Workload, max: number): KubeObject {
  return {
    apiVersion: 'autoscaling/v2',
    kind: 'HorizontalPodAutoscaler',
    metadata: metadata(plan, workload),
    spec: {
      scaleTargetRef: { apiVersion: 'apps/v1', kind: workload.kind, name: workload.name },
      minReplicas: workload.replicas,
      maxReplicas: max,
      metrics: [
        {
          type: 'Resource',
          resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 70 } },
        },
      ],
    },
  };
}
