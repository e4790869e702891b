import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { must } from '@domicile/core/invariants.ts';
import { topicOf } from '@domicile/core/streams.ts';
import { waitFor } from '@domicile/devkit/wait-for.ts';
import type { ClientOptions } from '@domicile/kafka/client-options.ts';
import { endOffsets } from '@domicile/kafka/topic-follower.ts';
import { expect, test } from 'vitest';
import { Fleet } from './support/fleet.ts';
import { judgeLedger, type Verdict } from './support/ledger.ts';
import { TestDemo, type TestDemoOptions } from './support/test-demo.ts';
import { startGateway } from './support/test-gateway.ts';

// Promise 1: what a device was told is kept is in the landing zone, once, whatever is killed in between. The ledger of acks
// is written by the devices and synced; the landing zone is read by a program that shares no code with the writer.

const building = 'de-7f3k';
const devices = Array.from(
  { length: 25 },
  (_, index) => `r1${`${index + 1}`.padStart(2, '0')}`,
).flatMap((room) => ['air', 'light', 'door', 'presence'].map((kind) => `${room}-${kind}`));
const perSecond = 1_300;

interface Round {
  readonly options: TestDemoOptions;
  readonly ackedMin: number;
  /** What is killed, one after the other, as long as devices are being acked. `kafka and broker`: Kafka, then the broker without it. */
  readonly victims: readonly string[];
  readonly everyMs: number;
}

async function run({ options, ackedMin, victims, everyMs }: Round): Promise<Verdict> {
  await using world = await TestDemo.start({ countries: ['DE'], ...options });
  const { demo } = world;
  const cell = must(demo.cells.get('DE'), 'the demo serves DE');
  const gateway = await startGateway(world, { country: 'DE', building });
  const fleet = new Fleet({
    url: gateway.mqtt,
    building,
    devices,
    boot: `round-${Date.now()}`,
    perSecond,
    connections: 10,
    ledgerFile: join(world.dir, 'acks.ledger'),
  });
  try {
    await waitFor('devices to be acked', () => fleet.acked().length > perSecond);
    const beganAt = performance.now();
    const before = fleet.acked().length;
    for (const victim of victims) {
      await sleep(everyMs);
      const [earlier, later] = [fleet.acked().length, (await sleep(300), fleet.acked().length)];
      // A gateway that is just back, or one whose store is being recovered, acks in a moment; then work is in flight.
      if (later === earlier) await waitFor('work in flight', () => fleet.acked().length > later);
      // Killed where it hurts most: a file is there, and nobody was told.
      if (victim === 'lander')
        await waitFor('a file without its manifest', () => isUnannounced(cell.plan.lakeDir));
      // Those that were killed a moment ago wait until their group knows it.
      if (victim === 'tasks') await tasksAtWork(cell.kafka.admin());
      if (victim !== 'kafka and broker')
        demo.supervisor.kill(victim === 'gateway' ? gateway.name : `de-${victim}`);
      else {
        await cell.kafka.cluster.kill(1);
        await sleep(everyMs); // the broker holds what Kafka has not acked, and dies with it
        demo.supervisor.kill('de-broker');
        cell.kafka.cluster.restart(1);
        await cell.kafka.cluster.ready();
      }
    }
    await waitFor('enough acks', () => fleet.acked().length >= ackedMin, 180_000);
    const seconds = (performance.now() - beganAt) / 1000;
    const rate = (fleet.acked().length - before) / seconds;
    await fleet.stop();
    await settle(fleet, cell.plan.lakeDir);
    const verdict = await judgeLedger(fleet, cell.plan.lakeDir);
    process.stdout.write(
      `${verdict.acked} acked at ${rate.toFixed(0)}/s with ${victims.length} kills: ${verdict.missing} missing, ${verdict.twice} more than once\n`,
    );
    return verdict;
  } finally {
    await fleet.stop();
    rmSync(fleet.order.ledgerFile, { force: true });
  }
}

async function tasksAtWork(client: ClientOptions): Promise<void> {
  const written = async (): Promise<bigint> => {
    const ends = await endOffsets({ client, topic: topicOf('DE', 'readings') });
    return ends.reduce((sum, end) => sum + end, 0n);
  };
  const before = await written();
  await waitFor('tasks at work', async () => (await written()) > before);
}

/** Whether a planned Parquet file is written whose manifest is not. */
function isUnannounced(lakeDir: string): boolean {
  const zone = join(lakeDir, 'landing/readings/v1');
  const named = (ledger: string): string[] =>
    existsSync(join(zone, ledger))
      ? readdirSync(join(zone, ledger), { recursive: true, encoding: 'utf8' }).filter((name) =>
          name.endsWith('.json'),
        )
      : [];
  const announced = new Set(named('_manifest'));
  return named('_plans')
    .filter((name) => !announced.has(name))
    .some((name) => {
      const { files }: { files: { path: string }[] } = JSON.parse(
        readFileSync(join(zone, '_plans', name), 'utf8'),
      );
      return files.some(({ path }) => existsSync(join(lakeDir, path)));
    });
}

/** Until all is landed, or nothing more lands for a while. */
async function settle(fleet: Fleet, lakeDir: string): Promise<void> {
  let last = await judgeLedger(fleet, lakeDir);
  let changedAt = Date.now();
  const isSettled = async (): Promise<boolean> => {
    const now = await judgeLedger(fleet, lakeDir);
    if (now.missing !== last.missing) changedAt = Date.now();
    last = now;
    await sleep(500);
    return now.missing === 0 || Date.now() - changedAt > 20_000;
  };
  await waitFor('everything to be landed', isSettled, 240_000);
}

const lander = { LANDER_PAUSE_BEFORE_PARQUET_MS: '150', LANDER_PAUSE_BEFORE_MANIFEST_MS: '400' };

test(
  'acked means kept: every process killed twice and Kafka once, at work',
  { timeout: 480_000 },
  async () => {
    const killed = ['broker', 'tasks', 'lander', 'serving-builder', 'gateway'];
    const verdict = await run({
      options: { overrides: { DE: { lander } } },
      ackedMin: 50_000,
      victims: [...killed, 'kafka and broker', ...killed, 'lander'],
      everyMs: 1_500,
    });
    expect(verdict.acked).toBeGreaterThanOrEqual(50_000);
    expect(verdict).toMatchObject({ missing: 0, twice: 0 });
  },
);

test('a broker that acks before Kafka has it is found out', { timeout: 480_000 }, async () => {
  const broker = { BROKER_MUTANT: 'ack-before-kafka' };
  const verdict = await run({
    options: { overrides: { DE: { broker } } },
    ackedMin: 8_000,
    victims: ['kafka and broker'],
    everyMs: 1_500,
  });
  expect(verdict.missing).toBeGreaterThan(0);
});

test('a task that commits positions early is found out', { timeout: 480_000 }, async () => {
  const tasks = { TASK_MUTANT: 'commit-offsets-early' };
  const verdict = await run({
    options: { overrides: { DE: { tasks } } },
    ackedMin: 8_000,
    victims: ['tasks', 'tasks', 'tasks'],
    everyMs: 1_500,
  });
  expect(verdict.missing).toBeGreaterThan(0);
});
