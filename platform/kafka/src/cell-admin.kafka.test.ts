import { grantsOf, topicConfigsOf } from '@domicile/core/streams.ts';
import { CellKafka } from '@domicile/devkit/cell-kafka.ts';
import { freshName } from '@domicile/devkit/fresh-name.ts';
import { readTopic } from '@domicile/devkit/kafka-reading.ts';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { grantOf, userOf } from './acls.ts';
import { CellAdmin } from './cell-admin.ts';

let kafka: CellKafka;
let admin: CellAdmin;
beforeAll(async () => {
  kafka = await CellKafka.start({ country: 'DE' });
  admin = new CellAdmin(kafka.admin());
});
afterAll(async () => {
  await admin[Symbol.asyncDispose]();
  await kafka[Symbol.asyncDispose]();
});

test('brokers are told with where they stand', async () => {
  expect(await admin.brokers()).toMatchObject([{ id: expect.any(Number), host: '127.0.0.1' }]);
  const [broker] = await admin.brokers();
  expect(await admin.brokerConfig(broker?.id ?? 0, 'offsets.retention.minutes')).toMatch(/^\d+$/);
  expect(await admin.brokerConfig(broker?.id ?? 0, 'no.such.setting')).toBeUndefined();
});

test('a topic is made once, and a setting of somebody else stays', async () => {
  const name = freshName('topic');
  const configs = topicConfigsOf('readings', 1);
  const topic = { name, partitions: 2, replicas: 1, configs };
  expect(await admin.topics([name])).toEqual(new Map());
  expect(await admin.createTopic(topic)).toBe(true);
  expect(await admin.createTopic(topic)).toBe(false);
  await expect
    .poll(async () => (await admin.topics([name])).get(name))
    .toMatchObject({ partitions: 2, configs });
  const [broker] = await admin.brokers();
  expect((await admin.topics([name])).get(name)?.replicas).toEqual([[broker?.id], [broker?.id]]);
  await admin.setTopicConfigs(name, { 'max.message.bytes': '2000000' });
  await admin.setTopicConfigs(name, { 'retention.ms': '1000' });
  await expect
    .poll(async () => (await admin.topics([name])).get(name)?.configs)
    .toEqual({ ...configs, 'max.message.bytes': '2000000', 'retention.ms': '1000' });
});

test('what was granted is told alike, and can be taken back', async () => {
  const user = freshName('user');
  const grants = grantsOf('DE', 'task');
  await admin.grant(user, grants);
  const granted = async () => (await admin.acls()).filter((acl) => userOf(acl) === user);
  await expect.poll(async () => (await granted()).length).toBe(grants.length);
  expect((await granted()).map(grantOf)).toEqual(expect.arrayContaining(grants));
  const [first, ...others] = await granted();
  await admin.takeBack(others);
  await expect.poll(granted).toEqual([first]);
});

test('a new user logs in by its password, and not by the one before', async () => {
  const user = freshName('user');
  const clientOf = (password: string) => ({
    ...kafka.client('serving'),
    sasl: { mechanism: 'SCRAM-SHA-256' as const, username: user, password },
  });
  expect(await admin.users()).not.toContain(user);
  await admin.setPassword(user, 'first');
  await admin.grant(user, grantsOf('DE', 'serving'));
  await expect.poll(async () => await admin.users()).toContain(user);
  await expect
    .poll(() => readTopic(clientOf('first'), 'de.summaries.v1').catch(() => undefined), {
      timeout: 20_000,
    })
    .toEqual([]);
  await admin.setPassword(user, 'second');
  const refused = () =>
    readTopic(clientOf('first'), 'de.summaries.v1').then(
      () => 'read',
      (error: unknown) => (error instanceof Error && 'code' in error ? error.code : error),
    );
  await expect.poll(refused, { timeout: 20_000 }).toBe('UNAUTHENTICATED');
});

test('a quota is set and lifted', async () => {
  const user = freshName('user');
  const quota = { producerBytesPerSecond: 1_000_000, consumerBytesPerSecond: null };
  await admin.setQuota(user, quota);
  await expect.poll(async () => (await admin.quotas()).get(user)).toEqual(quota);
  await admin.setQuota(user, { producerBytesPerSecond: null, consumerBytesPerSecond: null });
  await expect.poll(async () => (await admin.quotas()).get(user)).toBeUndefined();
});

test('who is not the super user is refused', async () => {
  await using stranger = new CellAdmin(kafka.client('serving'));
  await expect(stranger.quotas()).rejects.toMatchObject({ code: 'FORBIDDEN' });
  await expect(stranger.acls()).rejects.toMatchObject({ code: 'FORBIDDEN' });
});
