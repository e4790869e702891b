import { type Principal, topicOf } from '@domicile/core/streams.ts';
import { CellKafka } from '@domicile/devkit/cell-kafka.ts';
import { freshName } from '@domicile/devkit/fresh-name.ts';
import { readTopic } from '@domicile/devkit/kafka-reading.ts';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ensureTopics } from './admin.ts';
import { IdempotentProducer } from './idempotent-producer.ts';
import { TopicFollower } from './topic-follower.ts';
import { TransactionalProducer } from './transactional-producer.ts';

let kafka: CellKafka;
beforeAll(async () => {
  kafka = await CellKafka.start({ country: 'DE' });
});
afterAll(() => kafka[Symbol.asyncDispose]());

const topic = (name: Parameters<typeof topicOf>[1]) => topicOf('DE', name);

const refusal = /./;

/** What is refused is refused at once; what fails otherwise is not repeated for long. */
const refusedWithinMs = 500;

async function write(
  principal: Principal,
  name: Parameters<typeof topicOf>[1],
  deliveryTimeoutMs?: number,
): Promise<void> {
  const producer = await IdempotentProducer.open({
    client: kafka.client(principal),
    clientId: freshName('p'),
    topics: [topic(name)],
    ...(deliveryTimeoutMs !== undefined && { deliveryTimeoutMs }),
  });
  try {
    await producer.send({ topic: topic(name), key: Buffer.from('de-a') });
  } finally {
    await producer.close();
  }
}

test.each(['telemetry', 'backfill', 'readings', 'quarantine'] as const)(
  'rights denied: what serves clients cannot read %s, whatever its code asks',
  async (name) => {
    await expect(readTopic(kafka.client('serving'), topic(name))).rejects.toMatchObject({
      code: 'FORBIDDEN',
    });
    const follow = TopicFollower.start({
      client: kafka.client('serving'),
      clientId: freshName('f'),
      topics: [{ name: topic(name), from: 'earliest' }],
      onRecords: () => {},
      fail: () => {},
    });
    await expect(follow).rejects.toMatchObject({ code: 'FORBIDDEN' });
  },
);

test('rights denied: nobody but the broker writes what came in', async () => {
  await write('broker', 'telemetry');
  for (const principal of ['lander', 'raw', 'serving', 'commands'] as const)
    await expect(write(principal, 'telemetry', refusedWithinMs)).rejects.toThrow(refusal);
  await expect(write('broker', 'readings', refusedWithinMs)).rejects.toThrow(refusal);
});

test('a task writes in transactions under its own name, and under no other', async () => {
  const client = { ...kafka.client('task'), clientId: 'task' };
  const producer = await TransactionalProducer.open({ client, transactionalId: 'task:0' });
  await producer.send([{ topic: topic('readings'), partition: 0, value: Buffer.from('{}') }]);
  await producer.commit();
  await producer.send([{ topic: topic('readings'), partition: 0, value: Buffer.from('{}') }]);
  await expect(
    producer.send([{ topic: topic('registry'), partition: 0, value: Buffer.from('{}') }]),
  ).rejects.toThrow(refusal);
  await producer.abort();
  await producer.discard();
  expect(await readTopic(kafka.client('raw'), topic('readings'))).toHaveLength(1);
  const stranger = TransactionalProducer.open({ client, transactionalId: 'lander:0' });
  await expect(stranger).rejects.toThrow(refusal);
});

test('a wrong password does not get in', async () => {
  const client = {
    ...kafka.client('task'),
    sasl: { mechanism: 'SCRAM-SHA-256' as const, username: 'task', password: 'wrong' },
  };
  await expect(readTopic(client, topic('readings'))).rejects.toMatchObject({
    code: 'UNAUTHENTICATED',
  });
});

test('topics are made once, and another partition count is refused', async () => {
  const cell = { client: kafka.admin(), country: 'DE', replicas: 1 } as const;
  await ensureTopics({ ...cell, partitions: 8 });
  await expect(ensureTopics({ ...cell, partitions: 16 })).rejects.toMatchObject({
    code: 'CONFIG_INVALID',
  });
});

test('a follower sees what was there, then what comes, and knows where it is', async () => {
  const seen: string[] = [];
  const follower = await TopicFollower.start({
    client: kafka.client('serving'),
    clientId: freshName('f'),
    topics: [{ name: topic('registry'), from: 'earliest' }],
    onRecords: (records) => {
      for (const { key } of records) seen.push(String(key));
    },
    fail: (error) => seen.push(String(error)),
  });
  await follower.caughtUp;
  expect(seen).toEqual([]);
  await write('operator', 'registry');
  await expect.poll(() => seen).toEqual(['de-a']);
  const at = [...Array(8).keys()].map((partition) =>
    follower.position(topic('registry'), partition),
  );
  expect(at.filter((offset) => offset === 1n)).toHaveLength(1);
  expect(follower.lagRecords()).toBe(0);
  await follower[Symbol.asyncDispose]();
});
