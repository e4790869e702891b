/**
 * 100 buildings of 100 devices at 1,000 messages/s through one cell, on the real processes of the demo: from the device's
 * publish to `/latest` and to live push; memory, CPU and lag of every process. One building's devices speak through a
 * gateway agent, the others as gateways do.
 *
 *     node benchmarks/end-to-end/main.ts [minutes, 15 by default]
 */
import { readFileSync } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { cpus, loadavg } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Demo } from '@domicile/cell/demo.ts';
import { gatewaySpec } from '@domicile/cell/gateway.ts';
import { Ports } from '@domicile/cell/ports.ts';
import { must } from '@domicile/core/invariants.ts';
import { stateDir } from '@domicile/devkit/cache-dir.ts';
import { connectAsync, type MqttClient } from 'mqtt';
import { z } from 'zod';

const minutes = Number(process.argv[2] ?? 15);
const slopeMinutes = Math.min(10, minutes * 0.66);
const buildings = Array.from({ length: 100 }, (_, index) => `de-b${`${index}`.padStart(3, '0')}`);
const watched = ['de-b000', 'de-b001', 'de-b050', 'de-b099'];
const everyMs = 10_000;
const warmUpMs = 30_000;
const pollMs = 50;
const root = join(import.meta.dirname, '../..');
const dir = join(stateDir, 'benchmarks', `end-to-end-${process.pid}`);

const values = `
deviceTypes:
  multi: { metrics: { a: { unit: Cel, min: -1e6, max: 1e6 }, b: { unit: "%", min: -1e6, max: 1e6 }, c: { unit: lx, min: -1e6, max: 1e6 } } }
roomTypes: { four: { a: multi, b: multi, c: multi, d: multi } }
buildings:
${buildings
  .map(
    (id) =>
      `  ${id}: { client: acme, timeZone: Europe/Berlin, floors: { ${[1, 2, 3, 4, 5].map((floor) => `"${floor}": { rooms: { "r${floor}[1-5]": four } }`).join(', ')} } }`,
  )
  .join('\n')}
`;
const devices = [1, 2, 3, 4, 5].flatMap((floor) =>
  [1, 2, 3, 4, 5].flatMap((room) => ['a', 'b', 'c', 'd'].map((end) => `r${floor}${room}-${end}`)),
);

const latestSchema = z.object({
  rows: z.array(z.object({ device: z.string(), metric: z.string(), measuredAt: z.string() })),
});

interface Latencies {
  readonly count: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

function latenciesOf(all: readonly number[]): Latencies {
  const sorted = all.toSorted((a, b) => a - b);
  const at = (share: number) =>
    sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN;
  return {
    count: sorted.length,
    p50Ms: at(0.5),
    p99Ms: at(0.99),
    maxMs: sorted.at(-1) ?? Number.NaN,
  };
}

let sent = 0;
let acked = 0;

/** Every device of a building once per `everyMs`, evenly. */
async function speak(client: MqttClient, building: string, signal: AbortSignal): Promise<void> {
  const startedAt = Date.now();
  for (let n = 0; !signal.aborted; n += 1) {
    const dueAt = startedAt + (n * everyMs) / devices.length;
    const waitMs = dueAt - Date.now();
    if (waitMs > 0) await sleep(waitMs);
    const device = must(devices[n % devices.length], 'there are devices');
    const seq = Math.floor(n / devices.length);
    const payload = {
      boot: 'bench',
      seq,
      at: Date.now(),
      values: { a: seq % 40, b: n % 100, c: n % 900 },
    };
    sent += 1;
    client.publish(
      `v1/${building}/${device}/telemetry`,
      JSON.stringify(payload),
      { qos: 1 },
      (error) => {
        if (!error) acked += 1;
      },
    );
  }
}

/** From what live push says: now minus when it was measured, once for every point. */
async function watchLive(
  api: string,
  building: string,
  of: { token: string; signal: AbortSignal; found: number[] },
): Promise<void> {
  const { token, signal, found } = of;
  const headers = { authorization: `Bearer ${token}` };
  const response = await fetch(`${api}/v1/buildings/${building}/live`, { headers, signal });
  let rest = '';
  for await (const chunk of must(response.body, 'a stream has a body').pipeThrough(
    new TextDecoderStream(),
  )) {
    const now = Date.now();
    rest += chunk;
    const parts = rest.split('\n\n');
    rest = parts.pop() ?? '';
    for (const part of parts.filter((one) => one.includes('event: latest')))
      for (const [, at = ''] of part.matchAll(/"measuredAt":"([^"]+)"/g))
        found.push(now - Date.parse(at));
  }
}

/** From `/latest`, asked again and again: when a point is first seen anew. */
async function watchLatest(
  api: string,
  building: string,
  of: { token: string; signal: AbortSignal; found: number[] },
): Promise<void> {
  const { token, signal, found } = of;
  const headers = { authorization: `Bearer ${token}` };
  const seen = new Map<string, string>();
  while (!signal.aborted) {
    const response = await fetch(`${api}/v1/buildings/${building}/latest`, { headers, signal });
    const now = Date.now();
    const { rows } = latestSchema.parse(await response.json());
    for (const { device, metric, measuredAt } of rows) {
      const key = `${device} ${metric}`;
      const before = seen.get(key);
      seen.set(key, measuredAt);
      if (before !== undefined && before !== measuredAt) found.push(now - Date.parse(measuredAt));
    }
    await sleep(pollMs);
  }
}

interface Sample {
  readonly atMs: number;
  readonly rssMb: number;
  readonly cpuSeconds: number;
}

const ticksPerSecond = 100;

/** One, or none while the process is started again. */
function sampleOf(pid: number): Sample[] {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
    const rss = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
    const cpuSeconds = (Number(stat[11]) + Number(stat[12])) / ticksPerSecond;
    return [{ atMs: Date.now(), rssMb: Number(rss) / 1024, cpuSeconds }];
  } catch {
    return [];
  }
}

const mean = (all: readonly number[]): number =>
  all.reduce((sum, one) => sum + one, 0) / all.length;
const ignore = (): void => {};

/** Least squares over the last minutes, as a share of the mean per minute. */
function slopePercentPerMinute(
  points: readonly (readonly [atMs: number, value: number])[],
): number {
  const times = points.map(([atMs]) => atMs / 60_000);
  const found = points.map(([, value]) => value);
  const [atMean, mid] = [mean(times), mean(found)];
  const above = times.reduce(
    (sum, time, index) => sum + (time - atMean) * ((found[index] ?? 0) - mid),
    0,
  );
  const below = times.reduce((sum, time) => sum + (time - atMean) ** 2, 0);
  return Math.round((100 * 100 * (above / below)) / Math.max(mid, 1)) / 100;
}

await mkdir(dir, { recursive: true });
await writeFile(join(dir, 'values.yaml'), values);
const ended: string[] = [];
const stop = new AbortController();
const demo = await Demo.start(
  {
    DEMO_DIR: dir,
    DEMO_FILE: join(dir, 'demo.json'),
    DEMO_WEB_PORT: 0,
    DEMO_REPLAY: false,
    DEMO_BROKERS: 1,
    DEMO_LANDING_FLUSH_MS: 20_000,
    DEMO_SERVING_FLUSH_MS: 15_000,
  },
  {
    step: () => {},
    restarted: (name, outcome) => ended.push(`${name} ${outcome}`),
    onboarded: () => {},
    offboarded: () => {},
    valuesRefused: (_country, why) => ended.push(why),
  },
  {
    countries: ['DE'],
    values: { DE: join(dir, 'values.yaml') },
    fail: (error) => ended.push(String(error)),
  },
);
try {
  const file = await demo.file();
  const cell = must(demo.cells.get('DE'), 'DE is served');
  const { api, mqtt, mqttUsers, tokens } = must(file.cells['de'], 'DE is served');
  const ports = await Ports.open(join(dir, 'gateway-ports.json'));
  const spec = await gatewaySpec({
    building: 'de-b000',
    dir: join(dir, 'gateway'),
    logDir: join(dir, 'logs'),
    mqtts: `mqtts://127.0.0.1:${cell.plan.ports.mqtts}`,
    credentials: cell.credentials.filesOf('de-b000'),
    ports,
  });
  await demo.startGateway(spec);
  const clients: MqttClient[] = [];
  const speaking: Promise<void>[] = [];
  for (const [index, building] of buildings.entries()) {
    const client =
      index === 0
        ? await connectAsync(`mqtt://127.0.0.1:${await ports.of(`mqtt-${spec.name}`)}`)
        : await connectAsync(mqtt, { username: building, password: mqttUsers[building] ?? '' });
    clients.push(client);
    speaking.push(speak(client, building, stop.signal));
    await sleep(everyMs / buildings.length); // so that they do not speak in step
  }
  await sleep(warmUpMs);
  const live: number[] = [];
  const throughGateway: number[] = [];
  const latest: number[] = [];
  const token = tokens.analyst;
  const { signal } = stop;
  const watching = [
    ...watched.map((building) =>
      watchLive(api, building, {
        token,
        signal,
        found: building === 'de-b000' ? throughGateway : live,
      }).catch(ignore),
    ),
    watchLatest(api, 'de-b010', { token, signal, found: latest }).catch(ignore),
  ];
  const names = demo.supervisor.names;
  const samples = new Map<string, Sample[]>(names.map((name) => [name, []]));
  const takeSamples = (of: Map<string, Sample[]>): void => {
    for (const [name, all] of of) all.push(...sampleOf(demo.supervisor.pid(name)));
  };
  const lags: [number, number][] = [];
  const before = { sent, acked, at: Date.now() };
  for (const endAt = Date.now() + minutes * 60_000; Date.now() < endAt; await sleep(5_000)) {
    takeSamples(samples);
    const metrics = await (await fetch(`${cell.admin['tasks']}/metrics`)).text();
    const lag = [...metrics.matchAll(/^task_lag_records\S* (\S+)$/gm)].reduce(
      (sum, [, value]) => sum + Number(value),
      0,
    );
    lags.push([Date.now(), lag]);
  }
  const seconds = (Date.now() - before.at) / 1000;
  const from = Date.now() - slopeMinutes * 60_000;
  const figures = {
    lane: 'end-to-end',
    node: process.version,
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    load: loadavg()[0],
    minutes,
    messagesPerSecond: Math.round((sent - before.sent) / seconds),
    ackedPerSecond: Math.round((acked - before.acked) / seconds),
    livePush: latenciesOf(live),
    livePushThroughGateway: latenciesOf(throughGateway),
    latestPolledEvery50Ms: latenciesOf(latest),
    lagRecords: {
      max: Math.max(...lags.map(([, lag]) => lag)),
      mean: Math.round(lags.reduce((sum, [, lag]) => sum + lag, 0) / lags.length),
    },
    lagSlopePercentPerMinute: slopePercentPerMinute(lags.filter(([atMs]) => atMs > from)),
    ended,
    processes: Object.fromEntries(
      [...samples].map(([name, all]) => {
        const [first, last] = [all[0], all.at(-1)];
        const spent = (last?.cpuSeconds ?? 0) - (first?.cpuSeconds ?? 0);
        return [
          name,
          {
            rssMb: Math.round(last?.rssMb ?? 0),
            cores: Math.round((spent / seconds) * 1000) / 1000,
            memorySlopePercentPerMinute: slopePercentPerMinute(
              all.filter(({ atMs }) => atMs > from).map(({ atMs, rssMb }) => [atMs, rssMb]),
            ),
          },
        ];
      }),
    ),
  };
  process.stdout.write(`${JSON.stringify(figures)}\n`);
  await writeFile(
    join(root, 'docs/benchmarks/end-to-end.json'),
    `${JSON.stringify(figures, undefined, 2)}\n`,
  );
  stop.abort();
  await Promise.all([...speaking, ...watching]);
  await Promise.all(clients.map((client) => client.endAsync(true)));
} finally {
  stop.abort();
  await demo[Symbol.asyncDispose]();
  await rm(dir, { recursive: true, force: true });
}
