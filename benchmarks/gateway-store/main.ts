/**
 * Lane `gateway-store`: readings appended and synced, beside the same bytes appended raw with the same syncs; and a backlog sent by a
 * whole agent, beside the same messages sent by a bare loop, both to a server that only acks.
 */
import { mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { keepReport, median, pinSelf } from '../mqtt-servers.ts';
import { sendBare } from './bare-sender.ts';
import { backlogSent, startAckingServer, startAgentProcess } from './processes.ts';
import { Building, openBenchmarkStore } from './readings.ts';

const rounds = 5;
const appendReadings = 200_000;
/** As devices' messages gather while the disk is busy. */
const callReadings = 500;
const callsInFlight = 8;
const drainReadings = 200_000;
const readingsPerMessage = 20;
const window = 100;

await pinSelf();
const cpuSeconds: number[] = [];
/** Set TMPDIR where the temporary directory is memory. */
const folder = await mkdtemp(join(tmpdir(), 'gateway-store-'));
try {
  const append: { ours: number; floor: number }[] = [];
  for (let round = 0; round < rounds; round += 1)
    append.push({ ours: await appendOurs(round), floor: await appendRaw(round) });
  const drain: { ours: number; floor: number }[] = [];
  for (let round = 0; round < rounds; round += 1) drain.push(await drainBoth(round));
  await keepReport('gateway-store', {
    rounds,
    append: {
      readingsPerRound: appendReadings,
      ...mediansOf(append),
      cpuSecondsPerMillion: Number(((median(cpuSeconds) * 1e6) / appendReadings).toFixed(2)),
    },
    drain: { readingsPerRound: drainReadings, readingsPerMessage, ...mediansOf(drain) },
  });
} finally {
  await rm(folder, { recursive: true, force: true });
}

function mediansOf(results: readonly { ours: number; floor: number }[]) {
  const ours = Math.round(median(results.map((one) => one.ours)));
  const floor = Math.round(median(results.map((one) => one.floor)));
  return { oursPerSecond: ours, floorPerSecond: floor };
}

async function appendOurs(round: number): Promise<number> {
  const building = new Building(Date.parse('2026-01-01T00:00:00Z'));
  const calls = Array.from({ length: appendReadings / callReadings }, () =>
    building.take(callReadings),
  );
  await using store = await openBenchmarkStore(join(folder, `append-${round}`));
  const cpuBefore = process.cpuUsage();
  const from = performance.now();
  for (let done = 0; done < calls.length; done += callsInFlight)
    await Promise.all(calls.slice(done, done + callsInFlight).map((call) => store.append(call)));
  const { user, system } = process.cpuUsage(cpuBefore);
  cpuSeconds.push((user + system) / 1e6);
  return (appendReadings / (performance.now() - from)) * 1000;
}

/** As many bytes as the store's open segments take, with as many syncs. */
async function appendRaw(round: number): Promise<number> {
  const bytesPerReading = 245;
  const bytes = Buffer.alloc(callReadings * callsInFlight * bytesPerReading, 'x');
  await using file = await open(join(folder, `raw-${round}`), 'w');
  const from = performance.now();
  for (let done = 0; done < appendReadings; done += callReadings * callsInFlight) {
    await file.write(bytes);
    await file.datasync();
  }
  return (appendReadings / (performance.now() - from)) * 1000;
}

async function drainBoth(round: number): Promise<{ ours: number; floor: number }> {
  using server = await startAckingServer();
  const directory = join(folder, `drain-${round}`);
  const building = new Building(Date.parse('2026-01-01T00:00:00Z'));
  {
    await using store = await openBenchmarkStore(join(directory, 'data/store'));
    for (let done = 0; done < drainReadings; done += 4000) await store.append(building.take(4000));
    // Until it is packed, as what an outage leaves is.
    while (store.bytes / drainReadings > 60) await wait(50);
  }
  using agent = await startAgentProcess(directory, server.port);
  let sent = await backlogSent(agent.admin);
  const from = performance.now();
  const first = sent;
  while (sent < drainReadings) {
    await wait(20);
    sent = await backlogSent(agent.admin);
  }
  const ours = ((sent - first) / (performance.now() - from)) * 1000;
  const texts = building.take(readingsPerMessage).map(({ reading }) => Object(reading).text);
  const payload = Buffer.from(`[${texts.join(',')}]`);
  const messages = drainReadings / readingsPerMessage;
  const bare = await sendBare(
    Array.from({ length: messages }, () => payload),
    {
      port: server.port,
      window,
    },
  );
  return { ours, floor: bare * readingsPerMessage };
}
