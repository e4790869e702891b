import { resourceGroup, resourceVersion } from '@domicile/core/resources/cell.ts';
import type { Kind } from '../../runtime/kube.ts';

export const buildingKind: Kind = {
  group: resourceGroup,
  version: resourceVersion,
  kind: 'Building',
  plural: 'buildings',
  namespaced: true,
};

export const cellKind: Kind = {
  group: resourceGroup,
  version: resourceVersion,
  kind: 'Cell',
  plural: 'cells',
  namespaced: false,
};

export const secretKind: Kind = {
  group: '',
  version: 'v1',
  kind: 'Secret',
  plural: 'secrets',
  namespaced: true,
};

export const configMapKind: Kind = {
  group: '',
  version: 'v1',
  kind: 'ConfigMap',
  plural: 'configmaps',
  namespaced: true,
};

export const jobKind: Kind = {
  group: 'batch',
  version: 'v1',
  kind: 'Job',
  plural: 'jobs',
  namespaced: true,
};

/** On what the operator makes for a building, with the building as value: what is watched. */
export const buildingLabel = 'domicile.dev/building';

export function labelsOf(building: string): Record<string, string> {
  return {
    'app.kubernetes.io/managed-by': 'domicile-operator',
    'app.kubernetes.io/part-of': 'domicile',
    [buildingLabel]: building,
  };
}
