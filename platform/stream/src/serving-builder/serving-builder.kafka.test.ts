import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { addValue, emptyAggregate, encodeAggregate } from '@domicile/core/aggregate.ts';
import { parseCountryCode } from '@domicile/core/identities.ts';
import { topicOf } from '@domicile/core/streams.ts';
import type { SummaryRecord } from '@domicile/core/summary.ts';
import { CellKafka } from '@domicile/devkit/cell-kafka.ts';
import { waitFor } from '@domicile/devkit/wait-for.ts';
import { IdempotentProducer } from '@domicile/kafka/idempotent-producer.ts';
import { endOffsets } from '@domicile/kafka/topic-follower.ts';
import { FsObjectStore } from '@domicile/lake/fs/fs-object-store.ts';
import { parseSummaryManifest, summaryFolder } from '@domicile/lake/model/summary-manifest.ts';
import { figuresOfRow, SummarySnapshots } from '@domicile/lake/serving-summaries.ts';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ServiceProcesses } from '../lander/service-process.ts';

const country = parseCountryCode('DE');
const topic = topicOf(country, 'summaries');
const registry = topicOf(country, 'registry');
const building = 'de-a';
const timeZone = 'Europe/Berlin';
const dayStartMs = Date.UTC(2026, 10, 22, 23);

let kafka: CellKafka;
let producer: IdempotentProducer;
let processes: ServiceProcesses;
let folder = '';

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'serving-'));
  await writeFile(join(folder, 'password'), 'serving-builder-secret');
  kafka = await CellKafka.start({ country, partitions: 2 });
  processes = new ServiceProcesses(kafka, join(folder, 'password'));
  const client = kafka.admin();
  const topics = [topic, registry];
  producer = await IdempotentProducer.open({ client, clientId: 'test', topics });
});

afterAll(async () => {
  await processes[Symbol.asyncDispose]();
  await producer.close();
  await kafka[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});

/** Minute `index` of the day: a window that comes twice, and of every tenth a late partial. */
function recordsOf(index: number): SummaryRecord[] {
  const metrics = (value: number) => {
    const aggregate = emptyAggregate();
    addValue(aggregate, value);
    return { co2: { unit: '[ppm]', aggregate: encodeAggregate(aggregate) } };
  };
  const window = {
    building,
    windowStartMs: dayStartMs + index * 60_000,
    level: 'building',
    id: building,
    kind: 'window',
    offset: -1,
  } as const;
  const windows: SummaryRecord[] = [
    { ...window, revision: 0, final: false, metrics: metrics(1) },
    { ...window, revision: 1, final: true, metrics: metrics(index) },
  ];
  if (index % 10 !== 0) return windows;
  const late = {
    kind: 'partial',
    revision: 0,
    final: true,
    offset: index,
    metrics: metrics(0.5),
  } as const;
  return [...windows, { ...window, ...late }];
}

async function send(to: string, value: unknown): Promise<void> {
  const key = Buffer.from(building);
  await producer.send({ topic: to, key, value: Buffer.from(JSON.stringify(value)) });
}

test('killed again and again, it serves each minute, quarter, hour and day exactly, and prunes what is superseded', async () => {
  const lake = join(folder, 'lake');
  await send(registry, { id: building, timeZone });
  const env = { LAKE_DIR: lake, SERVING_FLUSH_MS: '50', SERVING_PRUNE_AFTER_MS: '200' };
  const start = () => processes.start('serving-builder-main.ts', 'serving-builder', env);
  const snapshots = await SummarySnapshots.open(new FsObjectStore(lake));
  let builder = await start();
  const minutes = 26 * 60;
  for (let index = 0; index < minutes; index += 1) {
    await Promise.all(recordsOf(index).map(async (record) => send(topic, record)));
    if (index % 400 !== 399) continue;
    // At work: what was sent lately is on its way into the next one.
    await waitFor('a snapshot of its own', () => snapshots.refresh());
    await processes.end(builder, 'SIGKILL');
    await snapshots.refresh();
    builder = await start();
  }
  const ends = await endOffsets({ client: kafka.admin(), topic });
  await waitFor('the last record to be served', async () => {
    await snapshots.refresh();
    return ends.every((end, partition) => end === (snapshots.current.offsets.get(partition) ?? 0n));
  });
  const store = new FsObjectStore(lake);
  const kept = (part: string) => store.list(`${summaryFolder('PT1M')}${part}/`, { limit: 10_000 });
  await waitFor('what is superseded to go', async () => {
    const [newest = '', ...others] = await kept('snapshots');
    const { files } = parseSummaryManifest((await store.get(newest)) ?? Buffer.from(''));
    const named = files.PT1M.map(({ key }) => key).toSorted();
    return others.length === 0 && named.join() === (await kept('data')).join();
  });
  await processes.end(builder, 'SIGTERM');
  // One of each builder at least.
  expect(snapshots.current.number).toBeGreaterThan(3);

  const { current } = snapshots;
  const toMs = dayStartMs + minutes * 60_000;
  for (const [interval, length] of [
    ['PT1M', 1],
    ['PT15M', 15],
    ['PT1H', 60],
    ['P1D', 24 * 60],
  ] as const) {
    const { rows } = await current.read({ interval, building, timeZone, fromMs: dayStartMs, toMs });
    expect(rows.length).toBe(Math.ceil(minutes / length));
    for (const [index, row] of rows.entries()) {
      const of = Array.from({ length }, (_, at) => index * length + at).filter(
        (at) => at < minutes,
      );
      const tenths = of.filter((at) => at % 10 === 0).length;
      const sum = of.reduce((total, at) => total + at, tenths * 0.5);
      expect(row).toMatchObject({
        windowStartMs: dayStartMs + index * length * 60_000,
        id: building,
      });
      expect(figuresOfRow(row)).toMatchObject({ count: of.length + tenths, sum });
    }
  }
});
