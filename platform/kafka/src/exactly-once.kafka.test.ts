import { setTimeout as sleep } from 'node:timers/promises';
import { freshName } from '@domicile/devkit/fresh-name.ts';
import { KafkaCluster } from '@domicile/devkit/kafka-cluster.ts';
import { readTopic } from '@domicile/devkit/kafka-reading.ts';
import { waitFor } from '@domicile/devkit/wait-for.ts';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { ClientOptions } from './client-options.ts';
import { GroupMember } from './group-member.ts';
import { caughtUp, copied, createTopic, exact, load, Worker } from './test-support.ts';
import type { WorkerOptions } from './test-worker.ts';
import { endOffsets } from './topic-follower.ts';
import { TransactionalProducer, VersionThreeProducer } from './transactional-producer.ts';

let cluster: KafkaCluster;
let client: ClientOptions;
beforeAll(async () => {
  cluster = await KafkaCluster.start({});
  client = cluster.client();
});
afterAll(() => cluster.stop());

async function topics() {
  const [input, output] = [await createTopic(client), await createTopic(client)];
  return { input, output, groupId: freshName('group') };
}

async function untilCaughtUp(groupId: string, input: string): Promise<void> {
  await waitFor('the end', () => caughtUp(client, { groupId, input }), 90_000);
}

const killed = { records: 60_000, recordsMax: 500, foldMs: 20 };

test(
  `members killed: ${killed.records} records pass two workers exactly once`,
  { timeout: 120_000 },
  async () => {
    const { input, output, groupId } = await topics();
    const { records, recordsMax, foldMs } = killed;
    await load(client, input, { to: records });
    const common = { client, groupId, inputs: [{ name: input }], output, recordsMax, foldMs };
    const workers = new Map<string, Worker>();
    let earlier = 0;
    const up = (instanceId: string): void => {
      earlier += workers.get(instanceId)?.inputs ?? 0;
      workers.set(instanceId, new Worker({ ...common, instanceId }));
    };
    const done = (): number =>
      earlier + [...workers.values()].reduce((sum, worker) => sum + worker.inputs, 0);
    up('a');
    up('b');
    for (const [victim, share] of [
      ['a', 0.15],
      ['b', 0.4],
      ['a', 0.6],
    ] as const) {
      await waitFor(`${share} of the records`, () => done() > share * records);
      await workers.get(victim)?.end();
      up(victim); // at once: a static member gets its partitions back
    }
    await untilCaughtUp(groupId, input);
    for (const worker of workers.values()) await worker.end();
    expect(await copied(client, output, records)).toEqual(exact);
  },
);

test.each(['fold', 'commit'] as const)(
  'a zombie, stopped before its %s past its session, writes nothing that counts',
  { timeout: 90_000 },
  async (stopItselfAt) => {
    const records = 20_000;
    const { input, output, groupId } = await topics();
    await load(client, input, { to: records });
    const common: Omit<WorkerOptions, 'instanceId'> = {
      client,
      groupId,
      inputs: [{ name: input }],
      output,
      recordsMax: 500,
    };
    const zombie = new Worker({ ...common, instanceId: 'zombie', stopItselfAt });
    await waitFor('the stop', () => zombie.has('stopping-itself'));
    const successor = new Worker({ ...common, instanceId: 'successor' });
    await untilCaughtUp(groupId, input);
    zombie.signal('SIGCONT');
    await waitFor('the zombie to notice', () => zombie.has('failed') || zombie.has('aborted'));
    await untilCaughtUp(groupId, input);
    await Promise.all([zombie.end(), successor.end()]);
    expect(await copied(client, output, records)).toEqual(exact);
  },
);

test('a process whose identity was taken ends, and leaves the new one alone', async () => {
  const { input, output, groupId } = await topics();
  const common = { client, groupId, inputs: [{ name: input }], output, instanceId: 'same' };
  const first = new Worker(common);
  await waitFor('the first', () => first.has('assigned'));
  first.signal('SIGSTOP');
  const second = new Worker(common);
  await waitFor('the second', () => second.has('assigned'));
  first.signal('SIGCONT');
  await first.exited();
  expect(first.reports.find(({ kind }) => kind === 'failed')?.message).toContain('FENCED');
  await load(client, input, { to: 2_000 });
  await untilCaughtUp(groupId, input);
  expect(second.reports.filter(({ kind }) => kind === 'assigned')).toHaveLength(1);
  await second.end('SIGTERM');
  expect(await copied(client, output, 2_000)).toEqual(exact);
});

test('aborted and abandoned records are never visible downstream', async () => {
  const { input, output, groupId } = await topics();
  const records = (from: number, word: string) =>
    Array.from({ length: 1_000 }, (_, n) => ({
      topic: input,
      key: Buffer.from(`${word}${from + n}`),
      value: Buffer.alloc(150),
    }));
  const options = {
    client: { ...client, clientId: 'upstream' },
    transactionalId: freshName('upstream'),
  };
  let producer = await TransactionalProducer.open(options);
  for (let n = 0; n < 8; n += 1) {
    await producer.send(records(n * 1_000, 'aborted'));
    if (n % 4 === 3) {
      await producer.discard(); // as a crash would; the next producer ends the transaction
      producer = await TransactionalProducer.open(options);
    } else {
      await producer.abort();
    }
    await producer.send(records(n * 1_000, 'k'));
    await producer.commit();
  }
  await producer.discard();
  const inputs = [{ name: input }];
  const worker = new Worker({ client, groupId, inputs, output, instanceId: 'w' });
  await untilCaughtUp(groupId, input);
  await worker.end('SIGTERM');
  expect(await readTopic(client, input, 'uncommitted')).toHaveLength(16_000);
  expect(await copied(client, output, 8_000)).toEqual(exact);
});

test('committed records between an aborted transaction and a marker without records are read', async () => {
  const { input } = await topics();
  const transactionalId = `${input}-gap`;
  const options = { client: { ...client, clientId: 'gap' }, transactionalId };
  const record = (key: string) => ({ topic: input, partition: 0, key: Buffer.from(key) });
  const first = await TransactionalProducer.open(options);
  await first.send([record('aborted')]);
  await first.abort();
  await first.send([record('committed')]);
  await first.commit();
  await first.discard();
  // Ended after it had asked for the partition and before it wrote: the marker of its abort stands alone.
  const bare = new VersionThreeProducer({
    ...options.client,
    transactionalId,
    idempotent: true,
    producerId: -1n,
    producerEpoch: -1,
    retries: 20,
    retryDelay: 20,
  });
  const transaction = await bare.beginTransaction({ producerId: -1n, producerEpoch: -1 });
  const metadata = await bare.metadata({ topics: [input] });
  await transaction.addPartitions(metadata, [
    { ...record('never'), value: Buffer.alloc(0), headers: new Map() },
  ]);
  await bare.close(true);
  const last = await TransactionalProducer.open(options);
  await last.send([record('last')]);
  await last.commit();
  await last.discard();
  const keys = (await readTopic(client, input)).map(({ key }) => String(key));
  expect(keys).toEqual(['committed', 'last']);
});

test('a new owner waits for the open transaction of the former one', async () => {
  const { input, output, groupId } = await topics();
  await load(client, input, { to: 2_000 });
  const ends = await endOffsets({ client, topic: input });
  const instanceId = 'former';
  const member = { client, groupId, instanceId, topics: [input], sessionTimeoutMs: 6_000 };
  const former = new GroupMember(member);
  await former.joinGroup({});
  const producer = await TransactionalProducer.open({
    client: { ...client, clientId: instanceId },
    transactionalId: freshName(instanceId),
    transactionTimeoutMs: 20_000,
  });
  await producer.send(
    Array.from({ length: 2_000 }, (_, n) => ({ topic: output, key: Buffer.from(`k${n}`) })),
  );
  const { memberId, generationId } = former;
  const generation = { groupId, memberId: memberId ?? '', instanceId, generationId };
  const offsets = ends.map((offset, partition) => ({ topic: input, partition, offset }));
  await producer.sendOffsets(former, generation, offsets);
  await former.close(true);

  const inputs = [{ name: input }];
  const successor = new Worker({ client, groupId, inputs, output, instanceId: 'successor' });
  await sleep(3_000);
  expect(successor.reports).toEqual([]);
  await producer.commit();
  await waitFor('the successor', () => successor.has('assigned'));
  await load(client, input, { from: 2_000, to: 2_500 });
  await untilCaughtUp(groupId, input);
  await successor.end('SIGTERM');
  await producer.discard();
  expect(await copied(client, output, 2_500)).toEqual(exact);
});

test('a backlog has a bounded share of each transaction, and the live topic goes first', async () => {
  const live = await createTopic(client);
  const { input: backlog, output, groupId } = await topics();
  await load(client, backlog, { to: 40_000 });
  await load(client, live, { from: 40_000, to: 60_000 });
  const inputs = [{ name: live }, { name: backlog, share: 0.25 }];
  const limits = { recordsMax: 1_000, foldMs: 10 };
  const worker = new Worker({ client, groupId, inputs, output, instanceId: 'w', ...limits });
  await untilCaughtUp(groupId, backlog);
  await untilCaughtUp(groupId, live);
  await worker.end('SIGTERM');
  expect(await copied(client, output, 60_000)).toEqual(exact);
  const sizes = worker.reports.filter(({ kind }) => kind === 'committed').map(({ count }) => count);
  expect(Math.max(...sizes)).toBeLessThanOrEqual(1_250);
  const found = (await readTopic(client, output)).filter(
    ({ partition, value }) => partition === 0 && value !== null,
  );
  const lastLive = found.findLastIndex(({ value }) => String(value).includes(live));
  const before = found.slice(0, lastLive).filter(({ value }) => String(value).includes(backlog));
  expect(before.length / lastLive).toBeLessThan(0.35);
});

test('a task is told where its first outputs stand, and a reader finds them there', async () => {
  const { input, output, groupId } = await topics();
  await load(client, input, { to: 12_000 }); // more than one batch a transaction
  const inputs = [{ name: input }];
  const worker = new Worker({ client, groupId, inputs, output, instanceId: 'w' });
  await untilCaughtUp(groupId, input);
  await worker.end('SIGTERM');
  const records = await readTopic(client, output);
  const told = records
    .filter(({ key }) => String(key).startsWith('offsets '))
    .flatMap(({ key, partition }) =>
      String(key)
        .slice(8)
        .split(' ')
        .map((offset) => `${partition}:${offset}`),
    );
  const found = records
    .filter(({ key }) => String(key).startsWith('k'))
    .map(({ partition, offset }) => `${partition}:${offset}`);
  expect(told.toSorted()).toEqual(found.toSorted());
});

test('a record that cannot be taken ends the task, and nothing is committed', async () => {
  const { input, output, groupId } = await topics();
  await load(client, input, { to: 10 });
  const inputs = [{ name: input }];
  const worker = new Worker({ client, groupId, inputs, output, instanceId: 'w', poison: true });
  await worker.exited();
  expect(worker.reports.find(({ kind }) => kind === 'failed')?.message).toContain('poison');
  expect(await readTopic(client, output, 'uncommitted')).toEqual([]);
  expect(await caughtUp(client, { groupId, input })).toBe(false);
});

test(
  'broker restarted: what was acknowledged is there, and a task goes on',
  { timeout: 90_000 },
  async () => {
    const { input, output, groupId } = await topics();
    const inputs = [{ name: input }];
    const limits = { recordsMax: 250, foldMs: 20 };
    await load(client, input, { to: 20_000 });
    let worker = new Worker({ client, groupId, inputs, output, instanceId: 'w', ...limits });
    await waitFor('work in flight', () => worker.inputs > 2_000);
    await cluster.kill(1);
    cluster.restart(1);
    await cluster.ready();
    await load(client, input, { from: 20_000, to: 21_000 });
    const supervised = setInterval(() => {
      if (!worker.alive) worker = new Worker(worker.options);
    }, 100);
    await untilCaughtUp(groupId, input);
    clearInterval(supervised);
    await worker.end('SIGTERM');
    expect(await copied(client, output, 21_000)).toEqual(exact);
  },
);
