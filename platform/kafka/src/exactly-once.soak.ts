import { freshName } from '@domicile/devkit/fresh-name.ts';
import { KafkaCluster } from '@domicile/devkit/kafka-cluster.ts';
import { waitFor } from '@domicile/devkit/wait-for.ts';
import { Kafka, logLevel } from 'kafkajs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { ClientOptions } from './client-options.ts';
import { caughtUp, copied, createTopic, exact, load, Worker } from './test-support.ts';

const records = 200_000;
const limits = { recordsMax: 500, foldMs: 20 };
let cluster: KafkaCluster;
let client: ClientOptions;
beforeAll(async () => {
  cluster = await KafkaCluster.start({ nodes: 3 });
  client = cluster.client();
});
afterAll(() => cluster.stop());

/** Two supervised workers and a loaded topic. */
async function begin() {
  const replicas = { replicas: 3 };
  const [input, output] = [
    await createTopic(client, replicas),
    await createTopic(client, replicas),
  ];
  const groupId = freshName('group');
  await load(client, input, { to: records });
  const common = { client, groupId, inputs: [{ name: input }], output, ...limits };
  const workers = ['a', 'b'].map((instanceId) => new Worker({ ...common, instanceId }));
  let earlier = 0;
  const supervised = setInterval(() => {
    for (const [index, worker] of workers.entries()) {
      if (worker.alive) continue;
      earlier += worker.inputs;
      workers[index] = new Worker(worker.options);
    }
  }, 100);
  return {
    workers,
    output,
    done: () => earlier + workers.reduce((sum, worker) => sum + worker.inputs, 0),
    end: async (): Promise<void> => {
      await waitFor('the end', () => caughtUp(client, { groupId, input }), 300_000);
      clearInterval(supervised);
      for (const worker of workers) await worker.end('SIGTERM');
    },
  };
}

/** By a second client. Its filter is right, and its library is not the writer's. */
async function countedByKafkajs(topic: string): Promise<number> {
  const kafka = new Kafka({
    clientId: 'independent',
    brokers: client.bootstrapBrokers.map(String),
    logLevel: logLevel.NOTHING,
  });
  const consumer = kafka.consumer({ groupId: freshName('independent'), readUncommitted: false });
  const keys = new Set<string>();
  let total = 0;
  await consumer.connect();
  await consumer.subscribe({ topic, fromBeginning: true });
  await consumer.run({
    eachMessage: async ({ message }) => {
      const key = String(message.key);
      if (!key.startsWith('k')) return;
      keys.add(key);
      total += 1;
    },
  });
  await waitFor('the independent reader', () => keys.size >= records, 120_000);
  await consumer.disconnect();
  expect(total).toBe(keys.size);
  return total;
}

test('three kills of workers: what comes out is what went in', async () => {
  const { workers, output, done, end } = await begin();
  for (const [victim, share] of [
    [0, 0.15],
    [1, 0.4],
    [0, 0.6],
  ] as const) {
    await waitFor('work in flight', () => done() > share * records, 180_000);
    await workers[victim]?.end();
  }
  await end();
  expect(await copied(client, output, records)).toEqual(exact);
  expect(await countedByKafkajs(output)).toBe(records);
});

test('three kills of brokers: what comes out is what went in', async () => {
  const { output, done, end } = await begin();
  for (const [id, share] of [
    [1, 0.15],
    [2, 0.4],
    [3, 0.6],
  ] as const) {
    await waitFor('work in flight', () => done() > share * records, 240_000);
    await cluster.kill(id);
    cluster.restart(id);
    await cluster.ready();
  }
  await end();
  expect(await copied(client, output, records)).toEqual(exact);
  expect(await countedByKafkajs(output)).toBe(records);
});
