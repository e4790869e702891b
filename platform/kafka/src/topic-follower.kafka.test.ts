import { KafkaCluster } from '@domicile/devkit/kafka-cluster.ts';
import { waitFor } from '@domicile/devkit/wait-for.ts';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { IdempotentProducer } from './idempotent-producer.ts';
import { createTopic } from './test-support.ts';
import { TopicFollower } from './topic-follower.ts';

let cluster: KafkaCluster;

beforeAll(async () => {
  cluster = await KafkaCluster.start({});
});
afterAll(async () => {
  await cluster.stop();
});

test('a position that Kafka no longer has is told as a state that is lost', async () => {
  const client = cluster.admin();
  const topic = await createTopic(client);
  const failed = Promise.withResolvers<unknown>();
  await using _follower = await TopicFollower.start({
    client,
    clientId: 'behind',
    topics: [{ name: topic, from: new Map([[0, 5n]]), partitions: [0] }],
    fail: failed.resolve,
    onRecords: () => expect.unreachable('there is nothing to read'),
  });
  expect(await failed.promise).toMatchObject({
    code: 'STATE_LOST',
    message: expect.stringContaining(`Cannot follow ${topic}: Kafka does not have what comes next`),
  });
});

test('what is followed may change while it runs', async () => {
  const client = cluster.admin();
  const [first, second] = [await createTopic(client), await createTopic(client)];
  await using producer = await opened([first, second]);
  const seen: string[] = [];
  await using follower = await TopicFollower.start({
    client,
    clientId: 'changing',
    topics: [{ name: first, from: 'earliest', partitions: [0] }],
    fail: (error) => expect.unreachable(String(error)),
    onRecords: (records) => {
      for (const { topic, partition, value } of records)
        seen.push(`${topic === first ? 'first' : 'second'}-${partition}-${String(value)}`);
    },
  });
  await producer.write(first, 0, 'a');
  await producer.write(second, 1, 'before');
  await waitFor('the first record', () => seen.includes('first-0-a'));

  const begins = await follower.add({ name: second, from: 'latest', partitions: [1, 2] });
  expect([...begins]).toEqual([
    [1, 1n],
    [2, 0n],
  ]);
  await producer.write(second, 1, 'b');
  await producer.write(second, 2, 'c');
  await producer.write(first, 0, 'd');
  await waitFor('the added partitions', () => seen.length === 4);
  expect(seen.toSorted()).toEqual(['first-0-a', 'first-0-d', 'second-1-b', 'second-2-c']);

  follower.remove(second, 1);
  await producer.write(second, 1, 'unseen');
  await producer.write(second, 2, 'e');
  await waitFor('the one that stayed', () => seen.includes('second-2-e'));

  await follower.add({ name: second, from: new Map([[1, 0n]]), partitions: [1, 2] });
  const again = () => seen.filter((text) => text.startsWith('second-1-'));
  await waitFor('all of the one that came back', () => again().length === 4);
  expect(again()).toEqual(['second-1-b', 'second-1-before', 'second-1-b', 'second-1-unseen']);
  expect(seen.filter((text) => text.startsWith('second-2-'))).toEqual(['second-2-c', 'second-2-e']);
  expect(follower.position(second, 1)).toBe(3n);
  expect(await follower.ends(second)).toEqual([0n, 3n, 2n, 0n]);
  // Followers of quiet topics fetch with a wait; twenty questions behind such waits would take five seconds.
  const beganAt = performance.now();
  for (let asked = 0; asked < 20; asked += 1) await follower.ends(second);
  expect(performance.now() - beganAt).toBeLessThan(4_000);
});

test('a follower that begins with nothing follows what is added', async () => {
  const client = cluster.admin();
  const topic = await createTopic(client);
  await using producer = await opened([topic]);
  const seen: string[] = [];
  await using follower = await TopicFollower.start({
    client,
    clientId: 'empty',
    topics: [],
    fail: (error) => expect.unreachable(String(error)),
    onRecords: (records) => {
      for (const { value } of records) seen.push(String(value));
    },
  });
  await follower.caughtUp;
  await producer.write(topic, 3, 'x');
  await follower.add({ name: topic, from: 'earliest', partitions: [3] });
  await waitFor('the record', () => seen.length === 1);
  expect(seen).toEqual(['x']);
});

test('a record that is too large for a batch of several has one for itself, and one beyond that is refused', async () => {
  const client = cluster.admin();
  const topic = await createTopic(client);
  const producer = await IdempotentProducer.open({ client, clientId: 'large', topics: [topic] });
  const sizes = [10, 800_000, 20, 600_000];
  const sent = sizes.map((size) =>
    producer.send({ topic, partition: 0, value: Buffer.alloc(size, 'x') }),
  );
  const tooLarge = producer.send({ topic, partition: 0, value: Buffer.alloc(1_000_000) });
  await expect(tooLarge).rejects.toMatchObject({ code: 'PAYLOAD_TOO_LARGE' });
  expect((await Promise.all(sent)).map(({ offset }) => offset)).toEqual([0n, 1n, 2n, 3n]);
  await producer.close();
});

async function opened(topics: readonly string[]) {
  const producer = await IdempotentProducer.open({
    client: cluster.admin(),
    clientId: 'changing-writer',
    topics,
  });
  return {
    write: (topic: string, partition: number, text: string) =>
      producer.send({ topic, partition, value: Buffer.from(text) }),
    [Symbol.asyncDispose]: () => producer.close(),
  };
}
