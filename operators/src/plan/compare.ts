import { type Fault, PlatformError } from '@domicile/core/errors.ts';
import { resourceGroup, resourceVersion } from '@domicile/core/resources/cell.ts';
import { recordOfSpec } from '@domicile/core/values.ts';
import { farewellOf } from '../model/building/building-resource.ts';
import { buildingKind, cellKind } from '../model/kinds.ts';
import type { Kind, Kube, KubeObject } from '../runtime/kube.ts';
import {
  type AcceptedBuilding,
  changesBetween,
  departureTold,
  farewellTold,
} from './plan-building.ts';
import type { AcceptedCell } from './plan-cell.ts';
import type { PlannedResource } from './plan.ts';

/** What of this project is in the cluster now. */
export interface Present {
  readonly cells: readonly KubeObject[];
  readonly buildings: readonly KubeObject[];
}

/** Throws `NOT_FOUND` if the definitions are not there, and as `Kube` does. */
export async function readPresent(kube: Kube): Promise<Present> {
  const [cells, buildings] = await Promise.all([kube.list(cellKind), kube.list(buildingKind)]);
  return { cells, buildings };
}

/** Asks the API server what it would say, and stores nothing. */
export async function asked(kube: Kube, kind: Kind, object: KubeObject): Promise<readonly Fault[]> {
  try {
    await kube.apply(kind, object, { dryRun: true });
    return [];
  } catch (error) {
    if (!(error instanceof PlatformError)) throw error;
    const detail = refusalOf(error, object);
    if (detail === undefined) throw error;
    return [{ pointer: '', detail }];
  }
}

/** Undefined if it says nothing of the object. */
function refusalOf({ code, message }: PlatformError, { metadata }: KubeObject): string | undefined {
  if (code === 'VALUE_INVALID' || code === 'CONFLICT') return `the API server: ${message}`;
  if (code === 'FORBIDDEN') return `the API server forbids it: ${message}`;
  if (code === 'NOT_FOUND')
    return `there is no namespace ${metadata.namespace ?? ''}: the chart domicile-operator makes those of buildings (buildingNamespaces)`;
  return undefined;
}

type Outcome = Pick<PlannedResource, 'action' | 'details' | 'faults'>;

/** A cell against the one that is there. */
export async function compareCell(
  { name, declared, spec }: AcceptedCell,
  { cells }: Present,
  kube: Kube,
): Promise<Outcome> {
  const other = cells.find(({ metadata }) => metadata.name !== name);
  if (other !== undefined)
    return refuse([
      {
        pointer: '/name',
        detail: `this cluster has the cell ${other.metadata.name}; one cluster is one cell`,
      },
    ]);
  const there = cells.find(({ metadata }) => metadata.name === name);
  const object = {
    apiVersion: `${resourceGroup}/${resourceVersion}`,
    kind: 'Cell',
    metadata: { name },
    spec: declared,
  };
  const faults = await asked(kube, cellKind, object);
  if (faults.length > 0) return refuse(faults);
  if (there === undefined) return { action: 'create', details: [], faults: [] };
  const changed = differences(there['spec'], spec, '');
  return changed.length === 0
    ? { action: 'same', details: ['as it is'], faults: [] }
    : { action: 'change', details: changed, faults: [] };
}

/** A building against those that are there. `namespace`: where it would be declared. */
export async function compareBuilding(
  { record, resource }: AcceptedBuilding,
  namespace: string,
  { present, kube }: { readonly present: Present; readonly kube: Kube },
): Promise<Outcome> {
  const same = present.buildings.filter(({ metadata }) => metadata.name === record.id);
  const elsewhere = same.find(({ metadata }) => metadata.namespace !== namespace);
  if (elsewhere !== undefined)
    return refuse([
      {
        pointer: `/buildings/${record.id}`,
        detail: `is declared in namespace ${elsewhere.metadata.namespace ?? ''} already, and the older one holds`,
      },
    ]);
  const faults = await asked(kube, buildingKind, {
    apiVersion: `${resourceGroup}/${resourceVersion}`,
    kind: 'Building',
    metadata: { name: record.id, namespace },
    spec: resource.spec,
  });
  if (faults.length > 0) return refuse(faults);
  const [there] = same;
  if (there === undefined) return { action: 'create', details: [], faults: [] };
  if (there.metadata.deletionTimestamp !== undefined)
    return refuse([
      {
        pointer: `/buildings/${record.id}`,
        detail: `${departureTold(there)}; what is declared now would go with it: helm upgrade once it is gone (kubectl -n ${namespace} wait --for=delete building/${record.id} --timeout=10m)`,
      },
    ]);
  const before = recordOfSpec(record.id, there['spec'], record.country);
  const changed = [
    ...changesBetween(before, record),
    ...farewellChange(there['spec'], resource.spec),
  ];
  return changed.length === 0
    ? { action: 'same', details: ['as it is'], faults: [] }
    : { action: 'change', details: changed, faults: [] };
}

function farewellChange(now: unknown, then: unknown): string[] {
  const [before, after] = [now, then].map((spec) => farewellTold(farewellOf(spec)));
  return before === after ? [] : [`${before} → ${after}`];
}

/** What a release declared and the values no longer do. */
export function removedBuildings(
  { buildings }: Present,
  { release, namespace, declared }: ReleaseOf,
): PlannedResource[] {
  return buildings
    .filter(
      ({ metadata }) =>
        metadata.namespace === namespace &&
        metadata.labels?.['app.kubernetes.io/instance'] === release &&
        !declared.has(metadata.name),
    )
    .map((object) => ({
      kind: 'Building',
      name: object.metadata.name,
      source: `release ${release}`,
      action: 'remove',
      details: [
        object.metadata.deletionTimestamp === undefined
          ? farewellTold(farewellOf(object['spec']))
          : departureTold(object),
      ],
      warnings: [],
      faults: [],
    }));
}

export interface ReleaseOf {
  readonly release: string;
  readonly namespace: string;
  readonly declared: ReadonlySet<string>;
}

function refuse(faults: readonly Fault[]): Outcome {
  return { action: 'refuse', details: [], faults };
}

/** By path: `broker.replicas: 2 → 3`. */
function differences(now: unknown, then: unknown, path: string): string[] {
  if (JSON.stringify(now) === JSON.stringify(then)) return [];
  if (!isMap(now) || !isMap(then)) return [`${path}: ${told(now)} → ${told(then)}`];
  const keys = [...new Set([...Object.keys(now), ...Object.keys(then)])].toSorted();
  return keys.flatMap((key) =>
    differences(now[key], then[key], path === '' ? key : `${path}.${key}`),
  );
}

function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function told(value: unknown): string {
  return value === undefined ? 'unset' : JSON.stringify(value);
}
