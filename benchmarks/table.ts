/** Writes docs/BENCHMARKS.md from what the lanes left in docs/benchmarks/*.json. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { type Lane, ratio, tableOf, verdict, whole } from './lane-table.ts';
import { gatewayMonth, gatewayStore } from './table-gateway.ts';
import { chaos, connections, fanOut, ingest, replicaKilled } from './table-mqtt.ts';
import { operatorScale } from './table-operator.ts';

const root = join(import.meta.dirname, '..');

const machine = z.object({
  node: z.string(),
  cpu: z.string(),
  cores: z.unknown().optional(),
  load: z.unknown().optional(),
  loadAverage: z.number().optional(),
});
type Machine = z.output<typeof machine>;

const throughput = z.object({ readingsPerSecond: z.number(), cpuSecondsPerMillion: z.number() });

function pipeline(json: unknown): Lane {
  const read = z
    .object({
      kafka: z.string(),
      rounds: z.number(),
      readingsPerRound: z.number(),
      valuesPerReading: z.number(),
      ours: throughput,
      bareCopy: throughput,
      recordsPerReading: z.record(z.string(), z.number()),
    })
    .parse(json);
  const { ours, bareCopy } = read;
  const records = Object.entries(read.recordsPerReading);
  return {
    title: 'pipeline',
    about: `Telemetry that lies in Kafka becomes readings, summaries, newest values and account, exactly once: one task process on one core, Kafka (${read.kafka}) on the other. The floor is a bare copy of the same records by the same transaction loop. ${read.rounds} rounds of ${whole(read.readingsPerRound)} readings of ${read.valuesPerReading} values by turns, medians.`,
    table: throughputTable([
      ['ours', ours],
      ['bare transactional copy (floor)', bareCopy],
    ]),
    verdicts: [
      verdict('30,000 readings/s', ours.readingsPerSecond >= 30_000, whole(ours.readingsPerSecond)),
      `Records written per reading (offsets, so transaction markers too): ${records
        .map(([stream, count]) => `${stream} ${count}`)
        .join(', ')}.`,
    ],
  };
}

function landing(json: unknown): Lane {
  const read = z
    .object({
      rounds: z.number(),
      readingsPerRound: z.number(),
      rowsPerReading: z.number(),
      ours: throughput,
      duckdbOneThread: throughput,
    })
    .parse(json);
  const { ours, duckdbOneThread } = read;
  return {
    title: 'landing',
    about: `Readings as they come from Kafka become landed files: decoding, digest, plan, Parquet and manifest, all synced to disk. The rival is DuckDB on one thread, which makes one Parquet file of the same rows from the same JSON in a file, and promises nothing. ${read.rounds} rounds of ${whole(read.readingsPerRound)} readings of ${read.rowsPerReading} rows, medians.`,
    table: throughputTable([
      ['ours', ours],
      ['DuckDB, one thread (rival)', duckdbOneThread],
    ]),
    verdicts: [
      verdict('60,000 readings/s', ours.readingsPerSecond >= 60_000, whole(ours.readingsPerSecond)),
    ],
  };
}

const answered = z.object({ requestsPerSecond: z.number(), p50Ms: z.number(), p99Ms: z.number() });

function query(json: unknown): Lane {
  const read = z
    .object({
      rounds: z.number(),
      data: z.object({ landedValues: z.number(), summaryRows: z.number() }),
      results: z.array(
        z.object({ name: z.string(), rows: z.number(), ours: answered, duckdb: answered }),
      ),
    })
    .parse(json);
  const slower = read.results.filter(
    ({ ours, duckdb }) => ours.requestsPerSecond < duckdb.requestsPerSecond,
  );
  return {
    title: 'query',
    about: `What a client and an analyst ask most, over the whole way of HTTP, each time with another limit so that no answer stands ready; the lake holds ${whole(read.data.landedValues)} landed values and ${whole(read.data.summaryRows)} rows of summaries. The rival is DuckDB alone on the same files: no HTTP, no rights, no tail of the stream. Server and DuckDB by turns on one core, the asking on the other. ${read.rounds} rounds, medians.`,
    table: [
      ['question', 'rows', '', 'requests/s', 'p50', 'p99', 'ours to it'],
      ...read.results.flatMap(({ name, rows, ours, duckdb }) =>
        (
          [
            ['ours', ours],
            ['DuckDB (rival)', duckdb],
          ] as const
        ).map(([side, one]) => [
          name,
          whole(rows),
          side,
          `${one.requestsPerSecond}`,
          `${one.p50Ms} ms`,
          `${one.p99Ms} ms`,
          ratio(ours.requestsPerSecond, one.requestsPerSecond),
        ]),
      ),
    ],
    verdicts: [
      'No aim is set; the rival is the measure.',
      slower.length === 0
        ? 'No question is answered more slowly than by DuckDB alone.'
        : `Slower than DuckDB alone at ${slower.length} of ${read.results.length}: ${slower.map(({ name }) => name).join('; ')}.`,
    ],
  };
}

const latencies = z.object({
  count: z.number(),
  p50Ms: z.number(),
  p99Ms: z.number(),
  maxMs: z.number(),
});

function endToEnd(json: unknown): Lane {
  const read = z
    .object({
      minutes: z.number(),
      messagesPerSecond: z.number(),
      ackedPerSecond: z.number(),
      livePush: latencies,
      livePushThroughGateway: latencies,
      latestPolledEvery50Ms: latencies,
      lagRecords: z.object({ max: z.number(), mean: z.number() }),
      lagSlopePercentPerMinute: z.number(),
      processes: z.record(
        z.string(),
        z.object({
          rssMb: z.number(),
          cores: z.number(),
          memorySlopePercentPerMinute: z.number(),
        }),
      ),
    })
    .parse(json);
  const processes = Object.entries(read.processes);
  const p99 = Math.max(read.livePush.p99Ms, read.latestPolledEvery50Ms.p99Ms);
  const growing = processes.filter(([, one]) => one.memorySlopePercentPerMinute >= 1);
  const ways = [
    ['to live push', read.livePush],
    ['to live push, through a gateway agent', read.livePushThroughGateway],
    ['to `/latest`, asked every 50 ms', read.latestPolledEvery50Ms],
  ] as const;
  return {
    title: 'end-to-end',
    about: `100 buildings of 100 devices at ${whole(read.messagesPerSecond)} messages/s (${whole(read.ackedPerSecond)} acked) for ${read.minutes} ${read.minutes === 1 ? 'minute' : 'minutes'} through one cell with all its processes, load and Kafka on the same machine: from the device’s publish until a client sees it. There is no rival; the figures stand beside their aims.`,
    table: [
      ['from publish', 'seen', 'p50', 'p99', 'max'],
      ...ways.map(([name, one]) => [
        name,
        whole(one.count),
        `${whole(one.p50Ms)} ms`,
        `${whole(one.p99Ms)} ms`,
        `${whole(one.maxMs)} ms`,
      ]),
    ],
    verdicts: [
      ...(read.minutes < 15
        ? [`The aim asks for 15 minutes; this run took ${read.minutes}, so its slopes say little.`]
        : []),
      verdict('a p99 under 2 s', p99 < 2000, `${whole(p99)} ms`),
      verdict(
        'memory that grows less than 1 % a minute',
        growing.length === 0,
        growing.length === 0
          ? 'no process grows more'
          : growing.map(([name, one]) => `${name} ${one.memorySlopePercentPerMinute} %`).join(', '),
      ),
      verdict(
        'a lag that grows less than 1 % a minute',
        read.lagSlopePercentPerMinute < 1,
        `${read.lagSlopePercentPerMinute} %, of a mean of ${whole(read.lagRecords.mean)} and at most ${whole(read.lagRecords.max)} records`,
      ),
      `Memory and cores of each process: ${processes.map(([name, one]) => `${name} ${one.rssMb} MB, ${one.cores}`).join('; ')}.`,
    ],
  };
}

function takeOver(json: unknown): Lane {
  const read = z
    .object({
      rounds: z.number(),
      buildings: z.number(),
      readings: z.number(),
      snapshotMb: z.number(),
      killedSeconds: z.object({
        median: z.number(),
        all: z.array(z.number()),
        floor: z.number(),
      }),
      plannedSeconds: z.object({ median: z.number(), all: z.array(z.number()) }),
    })
    .parse(json);
  const { killedSeconds: killed, plannedSeconds: planned } = read;
  const [worstKilled, worstPlanned] = [killed, planned].map(({ all }) => Math.max(...all));
  return {
    title: 'take-over',
    about: `How long the partitions of a task are without an owner, with the state of ${read.buildings} buildings of 100 devices after 24 hours (${whole(read.readings)} readings; the newest snapshots of all partitions take ${read.snapshotMb} MB): killed by kill -9, and restarted in good order. The floor of the first is the session after which Kafka gives partitions away at all. ${read.rounds} rounds, medians.`,
    table: [
      ['', 'median', 'worst', 'floor', 'median to floor'],
      [
        'killed, another takes over',
        `${killed.median} s`,
        `${worstKilled} s`,
        `${killed.floor} s`,
        ratio(killed.median, killed.floor),
      ],
      ['planned restart', `${planned.median} s`, `${worstPlanned} s`, '', ''],
    ],
    verdicts: [
      verdict('under 12 s after a kill', (worstKilled ?? 0) < 12, `${worstKilled} s at worst`),
      verdict('a planned restart under 5 s', (worstPlanned ?? 0) < 5, `${worstPlanned} s at worst`),
    ],
  };
}

const lanes = {
  ingest,
  connections,
  'fan-out': fanOut,
  'replica-killed': replicaKilled,
  chaos,
  pipeline,
  landing,
  'end-to-end': endToEnd,
  query,
  'take-over': takeOver,
  'gateway-store': gatewayStore,
  'gateway-month': gatewayMonth,
  'operator-scale': operatorScale,
};

/** `folder` holds a file `{lane}.json` of each lane that was run; one that is missing has no section. */
export function benchmarksDocument(folder: string): string {
  const sections = Object.entries(lanes).flatMap(([name, laneOf]) => {
    const file = join(folder, `${name}.json`);
    if (!existsSync(file)) return [];
    const json: unknown = JSON.parse(readFileSync(file, 'utf8'));
    return [sectionOf(laneOf(json), machine.parse(json))];
  });
  return `# Benchmarks

**A figure counts only beside its rival or floor of the same run.** Another machine, or other work on this one, changes both; the ratio is what stays.
Most of these runs shared two cores with other work, which the load average tells; absolute figures are then low, and latencies high.

This page is made of [benchmarks/](benchmarks) by \`node benchmarks/table.ts\`. \`make bench\` runs all lanes, one after the other.

${sections.join('\n\n')}
`;
}

function sectionOf({ title, about, table, verdicts, command }: Lane, on: Machine): string {
  return `## ${title}

${about}

${tableOf(table)}

${verdicts.map((one) => `- ${one}`).join('\n')}

${machineOf(on)} Run it: \`${command ?? `make bench LANE=${title}`}\`.`;
}

function machineOf({ node, cpu, cores, load, loadAverage }: Machine): string {
  const average = loadAverage ?? (typeof load === 'number' ? load : undefined);
  return [
    cpu,
    ...(typeof cores === 'number' ? [`${cores} cores`] : []),
    `Node ${node.replace('v', '')}`,
    average === undefined ? 'load average not kept' : `load average ${average}`,
  ]
    .join(', ')
    .concat('.');
}

function throughputTable(
  sides: readonly (readonly [string, z.output<typeof throughput>])[],
): readonly (readonly string[])[] {
  const ours = sides[0]?.[1].readingsPerSecond ?? 0;
  return [
    ['', 'readings/s', 'CPU s per million', 'ours to it'],
    ...sides.map(([name, { readingsPerSecond, cpuSecondsPerMillion }]) => [
      name,
      whole(readingsPerSecond),
      `${cpuSecondsPerMillion}`,
      ratio(ours, readingsPerSecond),
    ]),
  ];
}

if (import.meta.main)
  writeFileSync(
    join(root, 'docs/BENCHMARKS.md'),
    benchmarksDocument(join(root, 'docs/benchmarks')),
  );
