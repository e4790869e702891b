/**
 * An outage of 30 days: 100 devices, a reading every 10 s, 25.9 million readings. Makes the store once, then starts an agent on
 * it: how large it is, how long the start takes, and how much memory the agent needs while it sends.
 * `node benchmarks/gateway-store/month.ts [days]`
 */
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
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
const total = (days * 86_400_000 * devicesCount) / everyMs;
const drainSeconds = 30;

const folder = await mkdtemp(join(tmpdir(), 'gateway-month-'));
try {
  const made = await makeStore();
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
  const report = {
    days,
    readings: total,
    ...made,
    readySeconds: Number(agent.readySeconds.toFixed(2)),
    readyMegabytes: Math.round(ready.now / 1e6),
    sendingPeakMegabytes: Math.round(sending.peak / 1e6),
    sentPerSecond: Math.round(sent / drainSeconds),
  };
  await keepReport('gateway-month', report);
} finally {
  await rm(folder, { recursive: true, force: true });
}

async function makeStore() {
  const from = performance.now();
  const building = new Building(Date.parse('2026-01-01T00:00:00Z'));
  await using store = await openBenchmarkStore(join(folder, 'data/store'));
  for (let done = 0; done < total; done += 4000)
    await store.append(building.take(Math.min(4000, total - done)));
  for (let before = 0; before !== store.bytes; await wait(5000)) before = store.bytes;
  return {
    gigabytes: Number((store.bytes / 1e9).toFixed(3)),
    bytesPerReading: Number((store.bytes / total).toFixed(1)),
    madeSeconds: Math.round((performance.now() - from) / 1000),
  };
}
