import { readFile, writeFile } from 'node:fs/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parse, stringify } from 'yaml';
import { get, until } from './support/api.ts';
import { OnboardedCountry } from './support/onboarded-country.ts';

// What an SRE does: a country by three charts, then a building by five lines. Real brokers, workers and APIs as processes,
// over a real API server and a real Kafka.

const startTimeoutMs = 420_000;
const readyTimeoutMs = 180_000;
/** What is promised of a building that is added. */
const addedWithinMs = 30_000;
const device = 'r101-air';

let germany: OnboardedCountry;
beforeAll(async () => {
  germany = await OnboardedCountry.start('de');
  await germany.ready('Cell', 'de', readyTimeoutMs);
}, startTimeoutMs);
afterAll(() => germany[Symbol.asyncDispose]());

interface Rows {
  readonly rows: readonly Readonly<Record<string, unknown>>[];
}

/** Publishes by mutual TLS, and asks the API until it is there. */
async function passes(world: OnboardedCountry, building: string, value: number): Promise<unknown> {
  const client = await world.connect(building);
  const reading = {
    boot: 'b',
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
  const fits = (answer: Rows) => own(answer) !== undefined;
  return own(await until(`the reading of ${building}`, latest, { fits }))?.['value'];
}

/** How often the tasks have taken a partition over. */
async function takeOvers(): Promise<number> {
  const { address = '' } = (await germany.pods()).get('tasks-0') ?? {};
  const metrics = await (await fetch(`http://${address}:9090/metrics`)).text();
  return Number(/^task_take_over_seconds_count(?:\{.*\})? (\d+)/m.exec(metrics)?.[1]);
}

test('two buildings of values become ready, and a reading by mutual TLS comes out of the API', async () => {
  await germany.ready('Building', 'de-7f3k', addedWithinMs);
  await germany.ready('Building', 'de-2m9q', addedWithinMs);
  expect(await passes(germany, 'de-7f3k', 21.5)).toBe(21.5);
});

test('a third building is ready in 30 s, and nobody else notices', async () => {
  const before = await germany.pods();
  const takenBefore = await takeOvers();
  const file = germany.country.file.values.buildings;
  const values = parse(await readFile(file, 'utf8'));
  const added = {
    client: 'acme',
    name: 'Acme Hamburg',
    timeZone: 'Europe/Berlin',
    floors: { '1': { rooms: { 'r1[01-25]': 'standard-room' } } },
  };
  values.buildings['de-5h8d'] = added;
  await writeFile(file, stringify(values));
  const startedAt = performance.now();
  await germany.helm('buildings', 'domicile-buildings', file);
  await germany.ready('Building', 'de-5h8d', addedWithinMs);
  process.stderr.write(`ready after ${Math.round(performance.now() - startedAt)} ms\n`);
  expect(await passes(germany, 'de-5h8d', 19.25)).toBe(19.25);
  expect(await germany.pods()).toEqual(before);
  expect(await takeOvers()).toBe(takenBefore);
  expect(takenBefore).toBeGreaterThan(0);
});

test(
  'another country is another cluster, with what is its own',
  async () => {
    await using states = await OnboardedCountry.start('us');
    await states.ready('Cell', 'us', readyTimeoutMs);
    await states.ready('Building', 'us-4h8t', addedWithinMs);
    expect(await passes(states, 'us-4h8t', 71.5)).toBe(71.5);
    const { client } = states.country.bed;
    const { items } = await client.list('domicile.dev/v1alpha1', 'Building');
    expect(items.every(({ metadata }) => metadata.name.startsWith('us-'))).toBe(true);
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
