import { resourceGroup, resourceVersion } from '@domicile/core/resources/cell.ts';
import type { Kind } from '../runtime/kube.ts';

function kind(group: string, name: string, plural: string, cluster?: 'cluster'): Kind {
  const version = 'v1';
  return { group, version, kind: name, plural, namespaced: cluster === undefined };
}

const admission = 'admissionregistration.k8s.io';

const ours = { group: resourceGroup, version: resourceVersion };

export const cellKind: Kind = { ...ours, kind: 'Cell', plural: 'cells', namespaced: false };
export const buildingKind: Kind = {
  ...ours,
  kind: 'Building',
  plural: 'buildings',
  namespaced: true,
};
export const namespaceKind = kind('', 'Namespace', 'namespaces', 'cluster');
export const nodeKind = kind('', 'Node', 'nodes', 'cluster');
export const podKind = kind('', 'Pod', 'pods');
export const secretKind = kind('', 'Secret', 'secrets');
export const configMapKind = kind('', 'ConfigMap', 'configmaps');
export const serviceKind = kind('', 'Service', 'services');
export const serviceAccountKind = kind('', 'ServiceAccount', 'serviceaccounts');
export const volumeClaimKind = kind('', 'PersistentVolumeClaim', 'persistentvolumeclaims');
export const deploymentKind = kind('apps', 'Deployment', 'deployments');
export const statefulSetKind = kind('apps', 'StatefulSet', 'statefulsets');
export const jobKind = kind('batch', 'Job', 'jobs');
export const disruptionBudgetKind = kind('policy', 'PodDisruptionBudget', 'poddisruptionbudgets');
export const networkPolicyKind = kind('networking.k8s.io', 'NetworkPolicy', 'networkpolicies');
export const storageClassKind = kind('storage.k8s.io', 'StorageClass', 'storageclasses', 'cluster');
export const admissionPolicyKind = kind(
  admission,
  'ValidatingAdmissionPolicy',
  'validatingadmissionpolicies',
  'cluster',
);
export const admissionBindingKind = kind(
  admission,
  'ValidatingAdmissionPolicyBinding',
  'validatingadmissionpolicybindings',
  'cluster',
);
export const autoscalerKind: Kind = {
  ...kind('autoscaling', 'HorizontalPodAutoscaler', 'horizontalpodautoscalers'),
  version: 'v2',
};
