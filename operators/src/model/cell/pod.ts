import { regionLabel, zoneLabel } from '../residency-guard.ts';
import type { Access } from './access.ts';
import { type CellPlan, componentLabels, imageOf, selectorOf } from './plan.ts';
import { adminPort, type Component, type Workload } from './workload.ts';

const userId = 10_001;

export interface PodParts {
  readonly component: Component;
  readonly entry: string;
  readonly access: Access;
  readonly cpu: string;
  readonly memory: string;
  readonly graceSeconds: number;
  /** Of the container: ports, probes and such. */
  readonly container?: Readonly<Record<string, unknown>>;
}

/**
 * A pod template that the cell's admission policy lets pass: pinned to the regions of the cell, under the restricted profile, and
 * without a token. The rest of the pod spec may be spread over it.
 */
export function pinnedPod(plan: CellPlan, parts: PodParts) {
  const { component, access, entry } = parts;
  return {
    metadata: {
      labels: componentLabels(plan, component),
      annotations: { 'domicile.dev/read-at-start': digestOf(plan, access) },
    },
    spec: {
      affinity: { nodeAffinity: pinTo(plan) },
      serviceAccountName: component,
      automountServiceAccountToken: false,
      enableServiceLinks: false,
      terminationGracePeriodSeconds: parts.graceSeconds,
      securityContext: {
        runAsNonRoot: true,
        runAsUser: userId,
        runAsGroup: userId,
        fsGroup: userId,
        seccompProfile: { type: 'RuntimeDefault' },
      },
      containers: [
        {
          name: component,
          image: imageOf(plan),
          imagePullPolicy: plan.spec.image.pullPolicy,
          workingDir: '/app',
          command: ['node', '--enable-source-maps', entry],
          env: access.env,
          volumeMounts: [...access.mounts, { name: 'tmp', mountPath: '/tmp' }],
          resources: {
            requests: { cpu: parts.cpu, memory: '128Mi' },
            limits: { memory: parts.memory },
          },
          securityContext: {
            allowPrivilegeEscalation: false,
            readOnlyRootFilesystem: true,
            capabilities: { drop: ['ALL'] },
          },
          ...parts.container,
        },
      ],
      volumes: [...access.volumes, { name: 'tmp', emptyDir: { sizeLimit: '1Gi' } }],
    },
  };
}

/** Terms are alternatives, so there is one. */
function pinTo({ spec }: CellPlan) {
  const pin = { key: regionLabel, operator: 'In', values: spec.regions };
  return {
    requiredDuringSchedulingIgnoredDuringExecution: {
      nodeSelectorTerms: [{ matchExpressions: [pin] }],
    },
  };
}

function digestOf({ digests }: CellPlan, { readAtStart }: Access): string {
  return readAtStart.map((name) => digests.get(name) ?? 'none').join('.');
}

/** The template of a process that runs for ever. */
export function podOf(plan: CellPlan, workload: Workload) {
  const { name, entry, access, cpu, memory, graceSeconds, lingerSeconds, ports } = workload;
  const template = pinnedPod(plan, {
    component: name,
    entry,
    access,
    cpu,
    memory,
    graceSeconds,
    container: {
      ports: [...ports, { name: 'admin', port: adminPort }].map((one) => ({
        name: one.name,
        containerPort: one.port,
      })),
      startupProbe: { ...probe('/livez'), periodSeconds: 1, failureThreshold: 120 },
      readinessProbe: { ...probe('/readyz'), periodSeconds: 2, failureThreshold: 3 },
      livenessProbe: { ...probe('/livez'), periodSeconds: 10, failureThreshold: 6 },
      ...(lingerSeconds > 0 && { lifecycle: { preStop: { sleep: { seconds: lingerSeconds } } } }),
    },
  });
  const spread = {
    maxSkew: 1,
    topologyKey: zoneLabel,
    whenUnsatisfiable: 'ScheduleAnyway',
    labelSelector: { matchLabels: selectorOf(plan, name) },
  };
  return { ...template, spec: { ...template.spec, topologySpreadConstraints: [spread] } };
}

function probe(path: string) {
  return { httpGet: { path, port: 'admin' }, timeoutSeconds: 5 };
}
