import type { CountryPack } from '@domicile/core/country-pack.ts';
import type { Fault } from '@domicile/core/errors.ts';
import { type CellSpec, cellSpecSchema, parseCellSpec } from '@domicile/core/resources/cell.ts';
import { principals, streamNames } from '@domicile/core/streams.ts';
import type { z } from 'zod';
import { desiredCell } from '../model/cell/desired.ts';
import { count, faultsIn } from './plan-building.ts';
import { pointerOf, shapeFaults } from './schema-faults.ts';
import { usableOf, withoutEchoes } from './usable.ts';
import { packOf, type Packs } from './world.ts';

export interface AcceptedCell {
  readonly name: string;
  readonly spec: CellSpec;
  readonly pack: CountryPack;
  /** As it was declared, before defaults. */
  readonly declared: unknown;
}

export type LookedAtCell =
  | { readonly accepted: AcceptedCell }
  | { readonly name: string; readonly faults: readonly Fault[] };

/** A cell as the operator would take it, or why it would not: every fault at once. */
export function lookAtCell(
  { name, spec }: { readonly name?: string; readonly spec: unknown },
  packs: Packs,
): LookedAtCell {
  const shape = shapeFaults(cellSpecSchema, spec).map((fault) => ({
    ...fault,
    pointer: `/spec${fault.pointer}`,
  }));
  const usable = cellSpecSchema.safeParse(usableOf(cellSpecSchema, spec, standIn));
  const found = usable.success ? faultsOfCell(usable.data, packs) : [];
  const faults = [
    ...shape.map(({ pointer, detail }) => ({ pointer, detail })),
    ...withoutEchoes(found, shape),
  ];
  const country = usable.success ? usable.data.country : '';
  const called = name ?? country.toLowerCase();
  if (faults.length > 0) return { name: called, faults };
  const parsed = parseCellSpec(spec);
  const pack = packOf(packs, parsed.country);
  return pack
    ? { accepted: { name: called, spec: parsed, pack, declared: spec } }
    : { name: called, faults: [{ pointer: '/spec/country', detail: noPack(parsed.country) }] };
}

const someUrl = 'https://id.example.org';

/** Something that may stand where a field is missing or wrong; faults of it are not told. */
function standIn(path: readonly PropertyKey[]): unknown {
  const places: Readonly<Record<string, unknown>> = {
    '/kafka': { bootstrap: 'kafka:9092' },
    '/kafka/bootstrap': 'kafka:9092',
    '/lake': {
      store: 'gcs',
      region: 'some-region',
      landingBucket: 'some-landing',
      servingBucket: 'some-serving',
    },
    '/lake/store': 'gcs',
    '/lake/region': 'some-region',
    '/lake/landingBucket': 'some-landing',
    '/lake/servingBucket': 'some-serving',
    '/api': { issuer: someUrl, jwks: someUrl },
    '/api/issuer': someUrl,
    '/api/jwks': someUrl,
    '/regions': ['some-region'],
  };
  return structuredClone(places[pointerOf(path)]);
}

export function noPack(country: string): string {
  return `${country} has no country pack: write and review regions/${country.toLowerCase()}.yaml first`;
}

/** The first one of each place is the one to mend. */
function faultsOfCell(spec: z.output<typeof cellSpecSchema>, packs: Packs): Fault[] {
  const pack = packOf(packs, spec.country);
  const all = [
    ...faultsIn(() => parseCellSpec(spec)),
    ...(pack
      ? faultsByPack(spec, pack)
      : [{ pointer: '/spec/country', detail: noPack(spec.country) }]),
  ];
  return all.filter(
    ({ pointer }, index) => all.findIndex((one) => one.pointer === pointer) === index,
  );
}

function faultsByPack(spec: z.output<typeof cellSpecSchema>, pack: CountryPack): Fault[] {
  const { regions, lake, stream, api } = spec;
  const names = Object.values(lake.identities);
  return [
    ...regions.flatMap((region, index) =>
      pack.regions.includes(region)
        ? []
        : [
            {
              pointer: `/spec/regions/${index}`,
              detail: `${region} is not in the pack of ${pack.country}, which lists ${pack.regions.join(', ')}`,
            },
          ],
    ),
    ...(lake.landingBucket === lake.servingBucket
      ? [
          {
            pointer: '/spec/lake/servingBucket',
            detail: 'raw readings and summaries need buckets of their own',
          },
        ]
      : []),
    ...(new Set(names).size < names.length
      ? [{ pointer: '/spec/lake/identities', detail: 'each needs a Secret of its own' }]
      : []),
    ...(stream.engine === 'spark'
      ? [
          {
            pointer: '/spec/stream/engine',
            detail: 'spark is refused until its job exists; use embedded',
          },
        ]
      : []),
    ...(api.replicasMax !== undefined && api.replicasMax < api.replicas
      ? [{ pointer: '/spec/api/replicasMax', detail: 'must be at least replicas' }]
      : []),
  ];
}

/** What a cell comes to. */
export function detailsOfCell({ name, spec, pack }: AcceptedCell): string[] {
  const { kafka, lake, regions, namespace } = spec;
  const landingDays = lake.retentionDays.landing ?? pack.retentionDays.landing;
  const servingDays = lake.retentionDays.serving ?? pack.retentionDays.serving;
  const desired = desiredCell(
    {
      name,
      uid: '',
      spec,
      pack,
      imageTag: 'of the operator',
      operatorUser: '',
      digests: new Map(),
      hasStorage: true,
      hasKafkaCa: false,
      replicasNow: new Map(),
    },
    '',
  );
  const processes = desired.workloads.map(
    ({ workload }) => `${workload.name} ${workload.replicas}`,
  );
  return [
    `in ${regions.join(', ')}, namespace ${namespace}`,
    `Kafka: ${streamNames.length} streams of ${count(kafka.partitions, 'partition')}, ${kafka.replicas === 1 ? '1 copy' : `${kafka.replicas} copies`} of each; ${principals.length} users with rights of their own`,
    `store: ${lake.landingBucket} (${landingDays} days), ${lake.servingBucket} (${servingDays} days), ${lake.store} in ${lake.region}`,
    `processes: ${processes.join(', ')}`,
    `${count(desired.policies.length, 'policy').replace(/ys$/, 'ies')} of network and admission`,
  ];
}

export function warningsOfCell({ spec, pack }: AcceptedCell): string[] {
  const { kafka, broker, enrolment, regions, lake } = spec;
  return [
    ...(kafka.replicas < 3
      ? [`kafka.replicas is ${kafka.replicas}: what was acked may be lost with one broker`]
      : []),
    ...(enrolment.url === undefined
      ? [
          'enrolment.url is not said: gateways outside of the cluster cannot renew their certificates, which end after 90 days',
        ]
      : []),
    ...(broker.host === undefined
      ? ['broker.host is not said: gateways outside of the cluster know the broker by no name']
      : []),
    ...(pack.recovery === 'second-region' && regions.length === 1
      ? [`${pack.country} has a second region for recovery, and the cell stands in one`]
      : []),
    ...(lake.softDeleteDays === 0
      ? ['lake.softDeleteDays is 0: what is deleted from then on is gone at once']
      : []),
  ];
}
