/**
 * Lane `query`: what a client and an analyst ask most, over the whole way of HTTP, beside DuckDB alone on the same files. The
 * server and DuckDB are pinned to core 0, by turns; the asking is on core 1.
 */
import { execFile, fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { must } from '@domicile/core/invariants.ts';
import { FsObjectStore } from '@domicile/lake/fs/fs-object-store.ts';
import { LandedManifests } from '@domicile/lake/landed-manifests.ts';
import { parseSummaryManifest } from '@domicile/lake/model/summary-manifest.ts';
import { writeClaims } from '@domicile/runtime/claims.ts';
import { z } from 'zod';
import {
  day,
  hour,
  landReadings,
  partitions,
  summarisedBuildings,
  writeSummaries,
} from './make-lake.ts';

const rounds = 5;
const measureMs = 4_000;
const warmUpMs = 1_500;
const secret = 'benchmark';
/** Of summaries; raw readings allow more. */
const limitMax = 50_000;

const root = join(import.meta.dirname, '../..');
const told = z.object({ latenciesMs: z.array(z.number()), bytes: z.number(), rows: z.number() });
const building = must(summarisedBuildings[0], 'a building');
let asked = 0;

interface Question {
  readonly name: string;
  /** `{limit}` is another number each time, so that no answer stands ready. */
  readonly path: string;
  readonly accept: string;
  readonly sql: string;
}

interface Sample {
  readonly latenciesMs: readonly number[];
  readonly bytes: number;
}

await promisify(execFile)('taskset', ['-apc', '1', `${process.pid}`]);
const folder = await mkdtemp(join(tmpdir(), 'query-'));
const children: ChildProcess[] = [];
try {
  process.stderr.write('Making the lake\n');
  const values = await landReadings(folder);
  const summaryRows = await writeSummaries(folder);
  const questions = await questionsOf(folder);
  const server = await started('server.ts', [folder, secret]);
  const url = z.object({ url: z.string() }).parse(server.said).url;
  const rival = await started('rival.ts', []);
  const results = [];
  for (const question of questions)
    results.push(await measured(question, { url, rival: rival.child }));
  const report = {
    lane: 'query',
    node: process.version,
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: { server: 0, asking: 1 },
    rounds,
    data: { landedValues: values, summaryRows, buildingsWithSummaries: summarisedBuildings.length },
    results,
  };
  await mkdir(join(root, 'docs/benchmarks'), { recursive: true });
  await writeFile(join(root, 'docs/benchmarks/query.json'), `${JSON.stringify(report, null, 2)}\n`);
  process.stdout.write(`${JSON.stringify(report)}\n`);
} finally {
  for (const child of children) child.kill('SIGKILL');
  await rm(folder, { recursive: true });
}

async function started(file: string, args: readonly string[]) {
  const child = fork(join(import.meta.dirname, file), args, {
    env: { UV_THREADPOOL_SIZE: '16' },
  });
  children.push(child);
  await promisify(execFile)('taskset', ['-apc', '0', `${must(child.pid, 'it runs')}`]);
  const [said]: unknown[] = await once(child, 'message');
  return { child, said };
}

async function questionsOf(lake: string): Promise<Question[]> {
  const store = new FsObjectStore(lake);
  const pointer = z
    .object({ snapshot: z.string() })
    .parse(JSON.parse(await readFile(join(lake, 'serving/summaries/pt1m/v1/latest.json'), 'utf8')));
  const snapshot = parseSummaryManifest(
    must(await store.get(pointer.snapshot), 'the newest snapshot is there'),
  );
  const listOf = (keys: readonly string[]) => keys.map((key) => `'${join(lake, key)}'`).join(', ');
  const ofBuilding = snapshot.files.PT1M.filter(({ parts }) =>
    parts.some((part) => part.building === building),
  );
  const minutes = listOf(ofBuilding.map(({ key }) => key));
  const landed = await LandedManifests.open({ store, partitions });
  const readings = listOf(landed.files({ building, ...hour }).map(({ path }) => path));
  const ofDay = `from=${timeText(day.fromMs)}&to=${timeText(day.toMs)}&limit={limit}`;
  const ofHour = `from=${timeText(hour.fromMs)}&to=${timeText(hour.toMs)}&limit=1{limit}`;
  const summaries = (
    where: string,
  ) => `select distinct window_start, window_end, level, id, metric, unit, "count", "sum", avg, min, max,
      stddev, p50, p95, revision, is_final from read_parquet([${minutes}])
    where building = '${building}' and window_start >= timestamptz '${sqlTime(day.fromMs)}'
      and window_start < timestamptz '${sqlTime(day.toMs)}' and ${where} order by window_start, id, metric`;
  const raw = (where: string) => `select * from read_parquet([${readings}])
    where building = '${building}' and measured_at >= timestamptz '${sqlTime(hour.fromMs)}'
      and measured_at < timestamptz '${sqlTime(hour.toMs)}' and ${where}
    order by measured_at, kafka_partition, kafka_offset, metric`;
  const json = 'application/json';
  return [
    {
      name: 'building-day of summaries, the building, one metric',
      path: `/v1/buildings/${building}/summaries?${ofDay}&level=building&metric=co2`,
      accept: json,
      sql: summaries("level = 'building' and metric = 'co2'"),
    },
    {
      name: 'building-day of summaries, all rooms, one metric',
      path: `/v1/buildings/${building}/summaries?${ofDay}&level=room&metric=co2`,
      accept: json,
      sql: summaries("level = 'room' and metric = 'co2'"),
    },
    {
      name: 'hour of raw readings, one device',
      path: `/v1/raw/readings?building=${building}&${ofHour}&device=r101-air-0`,
      accept: json,
      sql: raw("device = 'r101-air-0'"),
    },
    {
      name: 'hour of raw readings, the building',
      path: `/v1/raw/readings?building=${building}&${ofHour}`,
      accept: 'application/x-ndjson',
      sql: raw('true'),
    },
  ];
}

function timeText(ms: number): string {
  return new Date(ms).toISOString();
}

function sqlTime(ms: number): string {
  return new Date(ms).toISOString().replace('T', ' ').replace('Z', '+00');
}

async function measured(question: Question, of: { url: string; rival: ChildProcess }) {
  const ours: Sample[] = [];
  const floor: Sample[] = [];
  const rows = await rowsAlike(question, of);
  for (let round = 0; round < rounds; round += 1) {
    const sides = [
      async () => ours.push(await askFor(question, of.url, measureMs)),
      async () => floor.push(await rivalFor(question, of.rival, measureMs)),
    ];
    for (const side of round % 2 === 0 ? sides : sides.toReversed()) await side();
  }
  return { name: question.name, rows, ours: figuresOf(ours), duckdb: figuresOf(floor) };
}

/** Warms both up, and refuses to compare answers of different length. */
async function rowsAlike(
  question: Question,
  of: { url: string; rival: ChildProcess },
): Promise<number> {
  await askFor(question, of.url, warmUpMs);
  const { rows } = await rivalFor(question, of.rival, warmUpMs);
  const answer = await fetch(`${of.url}${pathOf(question)}`, {
    headers: { ...headers(), Accept: 'application/x-ndjson' },
  });
  const lines = (await answer.text()).split('\n').length - 1;
  if (lines !== rows) throw new Error(`${question.name}: ${lines} rows here and ${rows} there`);
  return rows;
}

function pathOf({ path }: Question): string {
  asked += 1;
  return path.replace('{limit}', `${limitMax - (asked % 5_000)}`);
}

async function askFor(question: Question, url: string, forMs: number): Promise<Sample> {
  const { accept } = question;
  const latenciesMs: number[] = [];
  let bytes = 0;
  for (const until = performance.now() + forMs; performance.now() < until;) {
    const from = performance.now();
    const path = pathOf(question);
    const answer = await fetch(`${url}${path}`, { headers: { ...headers(), Accept: accept } });
    if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
    bytes = (await answer.arrayBuffer()).byteLength;
    latenciesMs.push(performance.now() - from);
  }
  return { latenciesMs, bytes };
}

async function rivalFor({ sql }: Question, rival: ChildProcess, forMs: number) {
  rival.send({ sql, forMs });
  const [message]: unknown[] = await once(rival, 'message');
  return told.parse(message);
}

function headers(): Record<string, string> {
  const scopes = new Set(['summary:read', 'raw:read'] as const);
  const expiresAt = Math.floor(Date.now() / 1000) + 3_600;
  return writeClaims({ subject: 'benchmark', client: '*', scopes, expiresAt }, secret);
}

function figuresOf(samples: readonly Sample[]) {
  const of = (read: (sorted: readonly number[]) => number) =>
    median(samples.map(({ latenciesMs }) => read(latenciesMs.toSorted((a, b) => a - b))));
  return {
    requestsPerSecond: rounded(of((all) => (all.length * 1000) / all.reduce((a, b) => a + b, 0))),
    p50Ms: rounded(of((all) => at(all, 0.5))),
    p99Ms: rounded(of((all) => at(all, 0.99))),
    requests: samples.reduce((sum, { latenciesMs }) => sum + latenciesMs.length, 0),
    bytes: samples[0]?.bytes ?? 0,
  };
}

function at(sorted: readonly number[], quantile: number): number {
  return must(sorted[Math.min(sorted.length - 1, Math.floor(quantile * sorted.length))], 'a value');
}

function median(values: readonly number[]): number {
  return at(
    values.toSorted((a, b) => a - b),
    0.5,
  );
}

function rounded(value: number): number {
  return Number(value.toPrecision(4));
}
