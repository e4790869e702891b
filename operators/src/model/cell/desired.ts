import type { KubeObject } from '../../runtime/kube.ts';
import { type Breach, pinBreaches } from '../residency-guard.ts';
import { admissionObjects } from './admission.ts';
import { networkPolicies } from './network.ts';
import { homeOf, labelsOf, type CellPlan, namespaceOf, owned } from './plan.ts';
import { objectsOf } from './workload-objects.ts';
import type { Workload } from './workload.ts';
import { authorityName, webConfig, webConfigOf, workloadsOf } from './workloads.ts';

/** Everything that a cell wants of the API server, in the order in which to make it; Secrets are made apart, once. */
export interface DesiredCell {
  readonly namespace: KubeObject;
  /** By which the API server and the network hold the rest. */
  readonly policies: readonly KubeObject[];
  readonly configs: readonly KubeObject[];
  readonly workloads: readonly {
    readonly workload: Workload;
    readonly objects: readonly KubeObject[];
  }[];
}

/** `authority`: PEM of the certificate of the cell's authority. */
export function desiredCell(plan: CellPlan, authority: string): DesiredCell {
  const workloads = workloadsOf(plan);
  return {
    namespace: namespaceOf(plan),
    policies: [...admissionObjects(plan), ...networkPolicies(plan, workloads), eraserAccount(plan)],
    configs: [
      // Without an owner: gateways that were given it outlive the Cell.
      config(plan, authorityName, { 'ca.crt': authority }, false),
      ...(plan.spec.web.enabled
        ? [config(plan, webConfig, { 'config.json': JSON.stringify(webConfigOf(plan)) }, true)]
        : []),
    ],
    workloads: workloads.map((workload) => ({ workload, objects: objectsOf(plan, workload) })),
  };
}

function config(
  plan: CellPlan,
  name: string,
  data: Readonly<Record<string, string>>,
  isOwned: boolean,
): KubeObject {
  const { namespace } = plan.spec;
  return {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name, namespace, labels: labelsOf(plan), ...(isOwned && owned(plan)) },
    data,
  };
}

/** Of the Job that erases a building. */
function eraserAccount(plan: CellPlan): KubeObject {
  return {
    apiVersion: 'v1',
    kind: 'ServiceAccount',
    metadata: {
      name: 'eraser',
      namespace: plan.spec.namespace,
      labels: labelsOf(plan),
      ...owned(plan),
    },
    automountServiceAccountToken: false,
  };
}

/** The last look before an object is written: what makes pods must pin them. */
export function objectBreaches(plan: CellPlan, object: KubeObject): Breach[] {
  if (object.kind !== 'Deployment' && object.kind !== 'StatefulSet') return [];
  const { spec } = object;
  const template =
    typeof spec === 'object' && spec !== null && 'template' in spec ? spec.template : undefined;
  const podSpec =
    typeof template === 'object' && template !== null && 'spec' in template
      ? template.spec
      : undefined;
  return pinBreaches(homeOf(plan), `${object.kind} ${object.metadata.name}`, podSpec);
}
