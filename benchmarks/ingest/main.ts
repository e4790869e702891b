/**
 * Lane `ingest`: acked after Kafka, one server on core 0, Kafka and the load on core 1. Our broker beside a bare packet
 * loop with the same producer, beside aedes with its ack held back, and beside mosquitto with a bridge to Kafka.
 */
import { setTimeout as wait } from 'node:timers/promises';
import { must } from '@domicile/core/invariants.ts';
import {
  BenchmarkCell,
  cpuSecondsOf,
  keepReport,
  median,
  pinSelf,
  type Server,
} from '../mqtt-servers.ts';
import { type LoadResult, runLoad } from './load.ts';

const rounds = 5;
const warmUpMs = 1000;
const measureMs = 2500;
const settleMs = 300;
const buildingsCount = 100;
/** Unacked messages of a connection under full load. */
const window = 20;
const pacedPerSecond = 10_000;
const payload = Buffer.from(
  JSON.stringify({
    boot: '01JD9T0000000000000000000',
    seq: 1_842_000,
    at: '2026-11-23T07:00:00.123Z',
    values: { temperature: 21.4, humidity: 44.1, co2: 612 },
  }),
);

type ServerName = 'ours' | 'bare' | 'aedes' | 'mosquitto';

interface Trial {
  readonly name: string;
  readonly server: ServerName;
  readonly qos: 1 | 2;
  readonly perSecond?: number;
}
const trials: readonly Trial[] = [
  { name: 'ours', server: 'ours', qos: 1 },
  { name: 'bare', server: 'bare', qos: 1 },
  { name: 'aedes', server: 'aedes', qos: 1 },
  { name: 'mosquitto', server: 'mosquitto', qos: 1 },
  { name: 'oursQos2', server: 'ours', qos: 2 },
  { name: 'oursPaced', server: 'ours', qos: 1, perSecond: pacedPerSecond },
  { name: 'barePaced', server: 'bare', qos: 1, perSecond: pacedPerSecond },
];

interface Outcome extends LoadResult {
  /** As Kafka has them: what counts. */
  readonly messagesPerSecond: number;
  readonly cpuSecondsPerMillion: number;
}

await pinSelf();
await using cell = await BenchmarkCell.start(buildingsCount);
const running: Readonly<Record<Exclude<ServerName, 'mosquitto'>, Server>> = {
  ours: await cell.startNode('platform/broker/src/main.ts'),
  bare: await cell.startNode('benchmarks/ingest/bare-loop.ts'),
  aedes: await cell.startNode('benchmarks/ingest/aedes-server.ts'),
};
const outcomes = new Map<string, Outcome[]>(trials.map(({ name }) => [name, []]));
for (let round = 0; round < rounds; round += 1) {
  // By turns, and each round begins with another.
  for (const at of trials.keys()) {
    const trial = must(trials[(at + round) % trials.length], 'a trial');
    outcomes.get(trial.name)?.push(await measure(trial));
  }
}
const medians = Object.fromEntries(
  [...outcomes].map(([name, results]) => [name, mediansOf(results)]),
);
await keepReport('ingest', {
  rounds,
  measuredSeconds: measureMs / 1000,
  pacedPerSecond,
  load: { connections: buildingsCount, window, payloadBytes: payload.length },
  ...medians,
});

async function measure({ server: name, qos, perSecond }: Trial): Promise<Outcome> {
  // Publishers outrun the bridge: what mosquitto has queued must not weigh on the next round.
  const server = name === 'mosquitto' ? await cell.startMosquitto() : running[name];
  const { buildings } = cell;
  const cpuBefore = await cpuSecondsOf(server);
  let before = 0;
  let from = 0;
  const result = await runLoad({
    port: server.port,
    buildings,
    window,
    payload,
    warmUpMs,
    measureMs,
    qos,
    ...(perSecond !== undefined && { perSecond }),
    onMeasure: async () => {
      before = await cell.written('telemetry');
      from = performance.now();
    },
    onMeasured: async () => {
      const written = (await cell.written('telemetry')) - before;
      return written / ((performance.now() - from) / 1000);
    },
  });
  const used = (await cpuSecondsOf(server)) - cpuBefore;
  const messages = (result.writtenPerSecond * (warmUpMs + measureMs)) / 1000;
  if (name === 'mosquitto') cell.stop(server);
  await wait(settleMs);
  return {
    ...result,
    messagesPerSecond: Math.round(result.writtenPerSecond),
    cpuSecondsPerMillion: Number(((used / messages) * 1e6).toFixed(2)),
  };
}

function mediansOf(results: readonly Outcome[]) {
  const of = (pick: (outcome: Outcome) => number) => median(results.map(pick));
  return {
    messagesPerSecond: of((each) => each.messagesPerSecond),
    lowest: Math.min(...results.map((each) => each.messagesPerSecond)),
    highest: Math.max(...results.map((each) => each.messagesPerSecond)),
    ackP50Ms: of((each) => each.ackP50Ms),
    ackP99Ms: of((each) => each.ackP99Ms),
    cpuSecondsPerMillion: of((each) => each.cpuSecondsPerMillion),
  };
}
