import type { CountryPack } from '@domicile/core/country-pack.ts';
import { type Fault, PlatformError } from '@domicile/core/errors.ts';
import type { Kube } from '../runtime/kube.ts';
import { compareBuilding, compareCell, type Present, removedBuildings } from './compare.ts';
import type { Declared } from './declared.ts';
import {
  detailsOf,
  type LookedAt,
  lookAtResource,
  lookAtValues,
  refusedBuilding,
  warningsOf,
} from './plan-building.ts';
import { detailsOfCell, lookAtCell, noPack, warningsOfCell } from './plan-cell.ts';
import type { Plan, PlannedResource } from './plan.ts';
import { packOf, type Packs } from './world.ts';

export interface PlanRequest {
  readonly declared: readonly Declared[];
  readonly packs: Packs;
  /** As it was asked for; unset: what the files say, or the cluster. */
  readonly country: string | undefined;
  /** Of buildings that name none. */
  readonly namespace: string;
  /** Whose other buildings would be taken out. */
  readonly release: string | undefined;
  readonly server: { readonly kube: Kube; readonly present: Present } | undefined;
}

/** What would come of what is declared. Throws `VALUE_INVALID` if the country is not to be known, and as `Kube` does. */
export async function makePlan(request: PlanRequest): Promise<Plan> {
  const { declared, server, release, namespace } = request;
  const pack = packOfPlan(request);
  const resources: PlannedResource[] = [];
  for (const one of declared) {
    if (one.kind === 'cell') resources.push(await planCell(one, request, pack));
    else resources.push(...(await planBuildings(one, request, pack)));
  }
  const twice = duplicatesIn(resources);
  if (server !== undefined && release !== undefined)
    resources.push(
      ...removedBuildings(server.present, {
        release,
        namespace,
        declared: new Set(resources.map(({ name }) => name)),
      }),
    );
  return {
    country: pack.country,
    server: server !== undefined,
    resources: [...resources, ...twice],
  };
}

function packOfPlan({ declared, packs, country, server }: PlanRequest): CountryPack {
  const ofCluster = server?.present.cells.map(({ spec }) => countryIn(spec)) ?? [];
  const said = [country, ...ofCluster, ...declared.flatMap(countriesOf)];
  const first = said.find((one) => one !== undefined);
  if (first === undefined)
    throw cannot('the country is not known: say --country, or country in the values');
  const pack = packOf(packs, first.toUpperCase());
  if (pack === undefined) throw cannot(noPack(first));
  return pack;
}

function cannot(detail: string): PlatformError {
  return new PlatformError('VALUE_INVALID', `Cannot plan: ${detail}`);
}

/** What a document says of its country, in words or by the ids of its buildings. */
function countriesOf(declared: Declared): (string | undefined)[] {
  if (declared.kind === 'cell') return [countryIn(declared.spec)];
  if (declared.kind === 'building')
    return [countryIn(declared.building.spec), declared.building.name.slice(0, 2)];
  const { country, buildings } = declared.values;
  const [first] = Object.keys(buildings);
  return [typeof country === 'string' ? country : undefined, first?.slice(0, 2)];
}

function countryIn(spec: unknown): string | undefined {
  return typeof spec === 'object' &&
    spec !== null &&
    'country' in spec &&
    typeof spec.country === 'string'
    ? spec.country
    : undefined;
}

type CellFile = Extract<Declared, { kind: 'cell' }>;
type BuildingsFileOrResource = Exclude<Declared, { kind: 'cell' }>;

async function planCell(
  { source, isValues, ...declared }: CellFile,
  { packs, server }: PlanRequest,
  pack: CountryPack,
): Promise<PlannedResource> {
  const looked = lookAtCell(declared, packs);
  const refused = { kind: 'Cell', source, action: 'refuse', details: [], warnings: [] } as const;
  if ('faults' in looked) {
    const { name, faults } = looked;
    return { ...refused, name, faults: isValues ? faults.map(inValues) : faults };
  }
  const { accepted } = looked;
  const { name } = accepted;
  if (accepted.pack !== pack) {
    const detail = `is of ${accepted.pack.country}, and this cluster is one of ${pack.country}`;
    return { ...refused, name, faults: [{ pointer: '/country', detail }] };
  }
  const outcome =
    server === undefined
      ? { action: 'create' as const, details: [], faults: [] }
      : await compareCell(accepted, server.present, server.kube);
  const isNew = outcome.action === 'create';
  return {
    kind: 'Cell',
    name,
    source,
    ...outcome,
    details: isNew ? detailsOfCell(accepted) : outcome.details,
    warnings: outcome.action === 'refuse' ? [] : warningsOfCell(accepted),
  };
}

function inValues({ pointer, detail }: Fault): Fault {
  return { pointer: pointer.replace(/^\/spec(?=\/|$)/, ''), detail };
}

async function planBuildings(
  declared: BuildingsFileOrResource,
  request: PlanRequest,
  pack: CountryPack,
): Promise<PlannedResource[]> {
  const { source } = declared;
  if (declared.kind === 'building')
    return [await planBuilding(lookAtResource(declared.building, pack), source, { request, pack })];
  const { shared, buildings } = lookAtValues(declared.values, pack);
  const planned: PlannedResource[] = [];
  if (shared.length > 0)
    planned.push({
      kind: 'values',
      name: source,
      source,
      action: 'refuse',
      details: [],
      warnings: [],
      faults: shared,
    });
  for (const one of buildings) planned.push(await planBuilding(one, source, { request, pack }));
  return planned;
}

async function planBuilding(
  looked: LookedAt,
  source: string,
  { request, pack }: { readonly request: PlanRequest; readonly pack: CountryPack },
): Promise<PlannedResource> {
  if ('faults' in looked) return refusedBuilding(looked.name, source, looked.faults);
  const { accepted } = looked;
  const name = accepted.record.id;
  const { server } = request;
  const namespace = accepted.resource.namespace ?? request.namespace;
  const outcome =
    server === undefined
      ? { action: 'create' as const, details: [], faults: [] }
      : await compareBuilding(accepted, namespace, server);
  if (outcome.action === 'refuse') return refusedBuilding(name, source, outcome.faults);
  return {
    kind: 'Building',
    name,
    source,
    ...outcome,
    details: outcome.action === 'create' ? detailsOf(accepted) : outcome.details,
    warnings: warningsOf(accepted, pack),
  };
}

/** One building in two files would be one resource, and the last one to be applied would win. */
function duplicatesIn(resources: readonly PlannedResource[]): PlannedResource[] {
  const seen = new Map<string, PlannedResource>();
  return resources.flatMap((resource) => {
    const first = seen.get(`${resource.kind} ${resource.name}`);
    seen.set(`${resource.kind} ${resource.name}`, first ?? resource);
    if (first === undefined || resource.kind !== 'Building') return [];
    const detail = `is declared in ${first.source} and in ${resource.source}`;
    return [refusedBuilding(resource.name, resource.source, [{ pointer: '', detail }])];
  });
}
