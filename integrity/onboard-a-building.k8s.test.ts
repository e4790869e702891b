import { readFile, writeFile } from 'node:fs/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parse, stringify } from 'yaml';
import { get, until } from './support/api.ts';
import { answersOf, eraseBuilding, hastenErasure } from './support/erase-building.ts';
import type { Fleet } from './support/fleet.ts';
import { judge, landedOf, loadOf } from './support/gateway-load.ts';
import { OnboardedCountry } from './support/onboarded-country.ts';
import { tracesInBuckets, tracesInKafka } from './support/traces-of.ts';

// What an SRE does: a country by three charts, then a building by five lines. Real brokers, workers and APIs as processes,
// over a real API server and a real Kafka.

const startTimeoutMs = 420_000;
const readyTimeoutMs = 180_000;
/** What is promised of a building that is added. */
const addedWithinMs = 30_000;
const device = 'r101-air';
const house = {
  client: 'acme',
  timeZone: 'Europe/Berlin',
  floors: { '1': { rooms: { 'r1[01-25]': 'standard-room' } } },
};

let germany: OnboardedCountry;
let load: Fleet;
beforeAll(async () => {
  germany = await OnboardedCountry.start('de');
  await germany.ready('Cell', 'de', readyTimeoutMs);
}, startTimeoutMs);
afterAll(async () => {
  await load?.stop();
  await germany[Symbol.asyncDispose]();
});

interface Rows {
  readonly rows: readonly Readonly<Record<string, unknown>>[];
}

/** Publishes by mutual TLS, and asks the API until it is there. */
async function passes(world: OnboardedCountry, building: string, value: number): Promise<unknown> {
  const client = await world.connect(building);
  const reading = {
    boot: `b-${Date.now()}`,
    seq: 0,
    at: new Date().toISOString(),
    values: { temperature: value },
  };
  const topic = `v1/${building}/${device}/telemetry`;
  await client.publishAsync(topic, JSON.stringify(reading), { qos: 1 });
  await client.endAsync();
  const api = await world.api();
  const latest = () =>
    get<Rows>(api, `/v1/buildings/${building}/latest`, world.country.file.tokens.client);
  const own = ({ rows }: Rows) =>
    rows.find((row) => row['device'] === device && row['metric'] === 'temperature');
  const fits = (answer: Rows) => own(answer)?.['value'] === value;
  return own(await until(`the reading of ${building}`, latest, { fits }))?.['value'];
}

/** How often the tasks have taken a partition over. */
async function takeOvers(): Promise<number> {
  const { address = '' } = (await germany.pods()).get('tasks-0') ?? {};
  const metrics = await (await fetch(`http://${address}:9090/metrics`)).text();
  return Number(/^task_take_over_seconds_count(?:\{.*\})? (\d+)/m.exec(metrics)?.[1]);
}

/** The pods once the cell is ready without those of before; that of the tasks keeps its name. */
async function replaced(
  before: ReadonlyMap<string, unknown>,
): Promise<ReadonlyMap<string, unknown>> {
  await germany.settled(readyTimeoutMs);
  return until('the old pods to end', () => germany.pods(), {
    fits: (pods) => [...pods.keys()].filter((pod) => before.has(pod)).join() === 'tasks-0',
  });
}

/** As DuckDB counts them in the landing bucket. */
async function rowsOfBuildings(): Promise<Record<string, number>> {
  const query = 'select building, count(*)::int as rows from {files} group by all';
  const rows = await landedOf(germany, { query });
  return Object.fromEntries(rows.map(({ building, rows: n }) => [String(building), Number(n)]));
}

/** Edits the values of a chart as they lie there, and upgrades its release. */
async function change(
  chart: 'cell' | 'buildings',
  edit: (values: Record<string, unknown>) => void,
): Promise<void> {
  const file = germany.country.file.values[chart];
  const values = parse(await readFile(file, 'utf8'));
  edit(values);
  await writeFile(file, stringify(values));
  const namespace = chart === 'cell' ? 'domicile-system' : 'domicile-buildings';
  await germany.helm(chart, namespace, file);
}

test('two buildings of values become ready, and a reading by mutual TLS comes out of the API', async () => {
  await germany.ready('Building', 'de-7f3k', addedWithinMs);
  await germany.ready('Building', 'de-2m9q', addedWithinMs);
  expect(await passes(germany, 'de-7f3k', 21.5)).toBe(21.5);
  load = await loadOf(germany, 'de-2m9q');
});

test('a third building is ready in 30 s, and nobody else notices', async () => {
  const before = await germany.pods();
  const takenBefore = await takeOvers();
  const startedAt = performance.now();
  await change('buildings', ({ buildings }) =>
    Object.assign(Object(buildings), { 'de-5h8d': house }),
  );
  await germany.ready('Building', 'de-5h8d', addedWithinMs);
  process.stderr.write(`ready after ${Math.round(performance.now() - startedAt)} ms\n`);
  expect(await passes(germany, 'de-5h8d', 19.25)).toBe(19.25);
  expect(await germany.pods()).toEqual(before);
  expect(await takeOvers()).toBe(takenBefore);
  expect(takenBefore).toBeGreaterThan(0);
});

test(
  'another version and the way back replace every process, and nothing acked is lost or twice',
  async () => {
    const first = await germany.pods();
    await change('cell', (values) => Object.assign(values, { image: { tag: '0.1.1' } }));
    const second = await replaced(first);
    await germany.rollback('cell');
    await replaced(second);
    const verdict = await judge(germany, load);
    process.stderr.write(`${verdict.acked} acked under an upgrade and a rollback\n`);
    expect(verdict).toMatchObject({ missing: 0, twice: 0 });
    expect(verdict.acked).toBeGreaterThan(500);
    // Of a building that sent one reading of one device, a while ago.
    await germany.tells('1/100');
  },
  startTimeoutMs,
);

test(
  'a lost cluster comes back over the same Kafka and buckets, and gateways go on by the certificates that they have',
  async () => {
    const secrets = await germany.backUp();
    load = await loadOf(germany, 'de-5h8d');
    await germany.country.loseCluster();
    const before = load.acked().length;
    await germany.restore(secrets);
    await germany.install();
    await germany.ready('Cell', 'de', readyTimeoutMs);
    await germany.ready('Building', 'de-5h8d', addedWithinMs);
    await until('the gateway to go on', async () => load.acked().length, {
      fits: (acked) => acked > before + 50,
    });
    expect(await judge(germany, load)).toMatchObject({ missing: 0, twice: 0 });
    expect(await passes(germany, 'de-5h8d', 20.75)).toBe(20.75);
  },
  startTimeoutMs,
);

test(
  'a building that is erased is found nowhere, its certificate is verified by others, and its neighbour has lost nothing',
  async () => {
    await hastenErasure(germany);
    await change('cell', ({ lake }) => Object.assign(Object(lake), { softDeleteDays: 0 }));
    await germany.settled(readyTimeoutMs);
    await load.stop();
    await germany.renew('lander');
    const before = await rowsOfBuildings();
    expect(before['de-2m9q']).toBeGreaterThan(100);
    const { 'de-2m9q': gone, ...kept } = before;
    const told = await eraseBuilding(germany, 'de-2m9q', readyTimeoutMs);
    expect(told).toMatchObject({ building: 'de-2m9q', country: 'DE' });
    process.stderr.write(`${gone} rows erased: ${JSON.stringify(told)}\n`);
    expect(await rowsOfBuildings()).toEqual(kept);
    expect(Object.keys(kept)).toContain('de-5h8d');
    expect(await tracesInBuckets(germany, 'de-5h8d')).not.toEqual([]);
    expect(await tracesInBuckets(germany, 'de-2m9q')).toEqual([]);
    expect(await answersOf(germany, { building: 'de-2m9q', client: 'otherClient' })).toEqual({
      latest: 404,
      raw: 404,
    });
    await expect(germany.connect('de-2m9q')).rejects.toThrow(/authorized|refused|closed/i);
    expect(await tracesInKafka(germany, 'de-2m9q')).toEqual([]);
    expect(await tracesInKafka(germany, 'de-5h8d')).not.toEqual([]);
  },
  startTimeoutMs,
);

test(
  'another country is another cluster, with what is its own: on premises, by Helm 3',
  async () => {
    const buildings = {
      country: 'KE',
      roomTypes: { 'standard-room': { air: 'air-quality' } },
      buildings: { 'ke-4h8t': { ...house, timeZone: 'Africa/Nairobi' } },
    };
    await using kenya = await OnboardedCountry.start('ke', { helm: 3, buildings });
    await kenya.ready('Cell', 'ke', readyTimeoutMs);
    await kenya.ready('Building', 'ke-4h8t', addedWithinMs);
    expect(await passes(kenya, 'ke-4h8t', 23.5)).toBe(23.5);
    const { items } = await kenya.country.bed.client.list('domicile.dev/v1alpha1', 'Building');
    expect(items.every(({ metadata }) => metadata.name.startsWith('ke-'))).toBe(true);
  },
  startTimeoutMs,
);

test(
  'a namespace of buildings that is deleted lets them go, though the rights in it go first',
  async () => {
    const { client } = germany.country.bed;
    const name = 'domicile-buildings';
    await client.delete('v1', 'Namespace', { name });
    const isGone = async () => (await client.find('v1', 'Namespace', { name })) === undefined;
    await until('the end of the namespace', isGone, { fits: (gone) => gone });
    const { items } = await client.list('domicile.dev/v1alpha1', 'Building');
    expect(items).toEqual([]);
  },
  readyTimeoutMs,
);
