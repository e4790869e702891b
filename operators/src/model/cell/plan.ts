import type { CountryPack } from '@domicile/core/country-pack.ts';
import { lowerCountry } from '@domicile/core/identities.ts';
import type { CellSpec } from '@domicile/core/resources/cell.ts';
import type { KubeObject, OwnerReference } from '../../runtime/kube.ts';
import type { Home } from '../residency-guard.ts';

/** All that the objects of a cell follow from. */
export interface CellPlan {
  readonly name: string;
  readonly uid: string;
  readonly spec: CellSpec;
  readonly pack: CountryPack;
  /** Tag of the image if the spec names none. */
  readonly imageTag: string;
  /** By which the API server knows the operator. */
  readonly operatorUser: string;
  /** Of Secrets that processes read only at start, by name: another digest restarts them. */
  readonly digests: ReadonlyMap<string, string>;
  /** There is a class by which the cluster makes volumes. */
  readonly hasStorage: boolean;
  /** Kafka speaks TLS. */
  readonly hasKafkaCa: boolean;
  /** Of workloads that are there: their replicas now, which between bounds are an autoscaler's to say. */
  readonly replicasNow: ReadonlyMap<string, number>;
}

export const partOf = { 'app.kubernetes.io/part-of': 'domicile' };
export const managedBy = { 'app.kubernetes.io/managed-by': 'domicile-operator' };

export function homeOf({ spec }: Pick<CellPlan, 'spec'>): Home {
  return { country: spec.country, regions: spec.regions };
}

/** Of everything that belongs to a cell. */
export function labelsOf({ name, spec }: Pick<CellPlan, 'name' | 'spec'>): Record<string, string> {
  return {
    'app.kubernetes.io/instance': name,
    ...managedBy,
    ...partOf,
    'domicile.dev/country': lowerCountry(spec.country),
  };
}

/** By which pods of one kind are chosen; never changes, since selectors cannot. */
export function selectorOf(plan: Pick<CellPlan, 'name'>, component: string) {
  return {
    'app.kubernetes.io/instance': plan.name,
    'app.kubernetes.io/component': component,
    ...partOf,
  };
}

export function componentLabels(plan: CellPlan, component: string): Record<string, string> {
  return {
    ...labelsOf(plan),
    'app.kubernetes.io/name': component,
    'app.kubernetes.io/component': component,
  };
}

/** What goes when the Cell goes. What holds data, keys or the namespace has no owner, so it stays. */
export function owned(plan: CellPlan): { readonly ownerReferences: readonly OwnerReference[] } {
  return {
    ownerReferences: [
      {
        apiVersion: 'domicile.dev/v1alpha1',
        kind: 'Cell',
        name: plan.name,
        uid: plan.uid,
        controller: true,
        blockOwnerDeletion: false,
      },
    ],
  };
}

/** Whoever made it keeps the label that says so. */
export function namespaceOf(plan: CellPlan): KubeObject {
  const { 'app.kubernetes.io/managed-by': _managedBy, ...labels } = labelsOf(plan);
  return {
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: {
      name: plan.spec.namespace,
      labels: {
        ...labels,
        'pod-security.kubernetes.io/enforce': 'restricted',
        'pod-security.kubernetes.io/warn': 'restricted',
      },
    },
  };
}

export function imageOf({ spec, imageTag }: CellPlan): string {
  return `${spec.image.repository}:${spec.image.tag ?? imageTag}`;
}
