import { type CountryCode, regionsOf } from '@domicile/core/countries.ts';
import { lowerCountry } from '@domicile/core/identities.ts';
import { resourceGroup, resourceVersion } from '@domicile/core/resources/cell.ts';
import type { KubeObject } from '../../runtime/kube.ts';
import { celText } from '../cel-text.ts';
import {
  binds,
  borders,
  listOf,
  names,
  placement,
  type Policy,
  volumes,
  volumesOfCluster,
  type Wall,
} from './admission-policies.ts';
import { type CellPlan, labelsOf, managedBy, partOf } from './plan.ts';

/**
 * The policies by which the API server itself refuses what would take a cell abroad, and what ties them to the cell's namespace.
 * They go before any workload. Their parameter is the Cell, whose regions the API server has checked; without it everything is
 * refused. They have no owner: what is left in the namespace when the Cell is deleted is guarded all the same.
 */
export function admissionObjects(plan: CellPlan): KubeObject[] {
  const wall: Wall = {
    // A cluster has one cell, so another Cell takes these over.
    prefix: 'domicile-cell',
    labels: labelsOf(plan),
    namespaces: [plan.spec.namespace],
    cell: plan.name,
    country: celText(plan.spec.country),
    // Another Cell may bear its name one day, and be of another country.
    regions: `params.spec.regions.filter(region, ${liesIn(plan.spec.country, 'region')})`,
    isHome: (region) => `${region} in variables.regions`,
  };
  const policies = [
    placement(wall),
    binds,
    names,
    volumes,
    volumesOfCluster(wall, [plan.spec.namespace]),
    borders(plan),
  ];
  return policies.flatMap((policy) => [policyObject(wall, policy), binding(wall, policy)]);
}

/** CEL: whether it is a region of the country, as core's `countryOfRegion` has it. */
function liesIn(country: CountryCode, region: string): string {
  return `(${region} in ${listOf(regionsOf(country))} || ${region}.startsWith(${celText(sitesOf(country))}))`;
}

function sitesOf(country: CountryCode): string {
  return `onprem-${lowerCountry(country)}-`;
}

export interface Guarded {
  readonly operatorNamespace: string;
  readonly cellNamespace: string;
  readonly buildingNamespaces: readonly string[];
}

/**
 * The policies that hold whether there is a Cell or not, wherever Secrets lie that open Kafka, the store and the broker: beside the
 * operator, in the cell, beside the Buildings. They name the country's regions themselves and have no parameter, so that neither a
 * Cell that is gone nor one that gave up a region keeps the operator's own pods from coming back.
 */
export function operatorAdmission(country: CountryCode, guarded: Guarded): KubeObject[] {
  const { operatorNamespace, cellNamespace, buildingNamespaces } = guarded;
  const ofProviders = regionsOf(country);
  const ofOperator: Wall = {
    prefix: 'domicile-operator',
    labels: { ...managedBy, ...partOf, 'domicile.dev/country': lowerCountry(country) },
    namespaces: [cellNamespace, operatorNamespace].toSorted(),
    country: celText(country),
    regions: listOf(ofProviders.length > 0 ? ofProviders : [sitesOf(country)]),
    isHome: (region) => liesIn(country, region),
  };
  const ofAll = {
    ...ofOperator,
    namespaces: [...new Set([...ofOperator.namespaces, ...buildingNamespaces])].toSorted(),
  };
  return [
    { wall: ofAll, policy: placement(ofAll) },
    { wall: ofAll, policy: binds },
    // Services and volumes beside Buildings are no way to what is secret there.
    { wall: ofOperator, policy: names },
    { wall: ofOperator, policy: volumes },
    { wall: ofOperator, policy: volumesOfCluster(ofOperator, ofOperator.namespaces) },
  ].flatMap(({ wall, policy }) => [policyObject(wall, policy), binding(wall, policy)]);
}

function policyObject({ prefix, labels, cell }: Wall, policy: Policy): KubeObject {
  return {
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind: 'ValidatingAdmissionPolicy',
    metadata: { name: `${prefix}-${policy.name}`, labels },
    spec: {
      failurePolicy: 'Fail',
      ...(cell !== undefined && {
        paramKind: { apiVersion: `${resourceGroup}/${resourceVersion}`, kind: 'Cell' },
      }),
      // With the API server's defaults, since the whole is compared.
      matchConstraints: {
        matchPolicy: 'Equivalent',
        namespaceSelector: {},
        objectSelector: {},
        resourceRules: policy.rules.map((rule) => ({ ...rule, scope: '*' })),
      },
      ...(policy.conditions && { matchConditions: policy.conditions }),
      ...(policy.variables && { variables: policy.variables }),
      validations: policy.validations.map((one) => ({ ...one, reason: 'Forbidden' })),
    },
  };
}

function binding({ prefix, labels, cell, namespaces }: Wall, policy: Policy): KubeObject {
  const name = `${prefix}-${policy.name}`;
  // By its name, which the API server sets itself: any other label could be taken off.
  const named = { key: 'kubernetes.io/metadata.name', operator: 'In', values: namespaces };
  return {
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind: 'ValidatingAdmissionPolicyBinding',
    metadata: { name, labels },
    spec: {
      policyName: name,
      validationActions: ['Deny'],
      ...(cell !== undefined && { paramRef: { name: cell, parameterNotFoundAction: 'Deny' } }),
      ...(policy.ofCluster !== true && {
        matchResources: {
          matchPolicy: 'Equivalent',
          namespaceSelector: { matchExpressions: [named] },
          objectSelector: {},
        },
      }),
    },
  };
}
