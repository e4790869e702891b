/**
 * An outage of 30 days: 100 devices, a reading every 10 s, 25.9 million readings. Makes the store, then starts an agent on
 * it: how large it is, how long the start takes, and how much memory the agent needs while it sends.
 * `node benchmarks/gateway-store/month.ts [days] [folder]`; a folder that is named is kept, and used again.
 */
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { z } from 'zod';
import { keepReport } from '../mqtt-servers.ts';
import {
  backlogSent,
  memoryOf,
  startAckingServer,
  startAgentProcess,
  stopAgent,
} from './processes.ts';
import { Building, devicesCount, everyMs, openBenchmarkStore } from './readings.ts';

const days = Number(process.argv[2] ?? 30);
const [, , , named] = process.argv;
const total = (days * 86_400_000 * devicesCount) / everyMs;
const drainSeconds = 30;
const madeSchema = z.object({
  readings: z.number(),
  gigabytes: z.number(),
  bytesPerReading: z.number(),
  madeSeconds: z.number(),
});

const folder = named ?? (await mkdtemp(join(tmpdir(), 'gateway-month-')));
const madeFile = join(folder, 'made.json');
try {
  const made = (await madeBefore()) ?? (await makeStore());
  await writeFile(madeFile, JSON.stringify(made));
  using server = await startAckingServer();
  // The first start after an installation compiles.
  const empty = join(folder, 'empty');
  await mkdir(join(empty, 'data'), { recursive: true });
  {
    using first = await startAgentProcess(empty, server.port);
    await stopAgent(first);
  }
  using agent = await startAgentProcess(folder, server.port);
  const ready = await memoryOf(agent);
  const from = performance.now();
  while ((performance.now() - from) / 1000 < drainSeconds) await wait(500);
  const sent = await backlogSent(agent.admin);
  const sending = await memoryOf(agent);
  await stopAgent(agent);
  await keepReport('gateway-month', {
    days,
    ...made,
    readySeconds: Number(agent.readySeconds.toFixed(2)),
    readyMegabytes: Math.round(ready.now / 1e6),
    sendingPeakMegabytes: Math.round(sending.peak / 1e6),
    sentPerSecond: Math.round(sent / drainSeconds),
  });
} finally {
  if (named === undefined) await rm(folder, { recursive: true, force: true });
}

async function madeBefore() {
  const text = await readFile(madeFile, 'utf8').catch(() => undefined);
  return text === undefined ? undefined : madeSchema.parse(JSON.parse(text));
}

async function makeStore() {
  const from = performance.now();
  const building = new Building(Date.parse('2026-01-01T00:00:00Z'));
  await using store = await openBenchmarkStore(join(folder, 'data/store'));
  for (let done = 0; done < total; done += 4000)
    await store.append(building.take(Math.min(4000, total - done)));
  for (let before = 0; before !== store.bytes; await wait(5000)) before = store.bytes;
  return {
    readings: total,
    gigabytes: Number((store.bytes / 1e9).toFixed(3)),
    bytesPerReading: Number((store.bytes / total).toFixed(1)),
    madeSeconds: Math.round((performance.now() - from) / 1000),
  };
}
