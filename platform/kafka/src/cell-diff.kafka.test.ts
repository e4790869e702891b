import { grantsOf, principals, streamNames } from '@domicile/core/streams.ts';
import { freshName } from '@domicile/devkit/fresh-name.ts';
import { KafkaCluster } from '@domicile/devkit/kafka-cluster.ts';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { CellAdmin } from './cell-admin.ts';
import { kafkaDiff, openCellAdmin } from './cell-diff.ts';

let cluster: KafkaCluster;
let admin: CellAdmin;
beforeAll(async () => {
  cluster = await KafkaCluster.start({ security: { kind: 'scram', passwords: {} } });
  admin = new CellAdmin(cluster.admin());
});
afterAll(async () => {
  await admin[Symbol.asyncDispose]();
  await cluster.stop();
});

const users = principals.map((principal) => ({ principal, password: 'secret', renew: false }));
const wish = { country: 'DE', partitions: 2, replicas: 1, users } as const;
const kindsOf = (changes: readonly { kind: string; target: string }[]) =>
  changes.map(({ kind, target }) => `${kind} ${target}`);

async function act(): Promise<void> {
  for (const change of (await kafkaDiff(admin, wish)).changes) await change.act();
}

test('an empty Kafka is brought to what the cell wants, and then nothing is left to do', async () => {
  const before = await kafkaDiff(admin, wish);
  expect(before.held).toEqual([]);
  expect(before.changes.filter(({ kind }) => kind === 'topic')).toHaveLength(streamNames.length);
  expect(before.changes.filter(({ kind }) => kind === 'user')).toHaveLength(principals.length);
  for (const { detail } of before.changes) expect(detail).not.toContain('secret');
  await act();
  await expect.poll(async () => kindsOf((await kafkaDiff(admin, wish)).changes)).toEqual([]);
  const after = await kafkaDiff(admin, wish);
  expect(after.refusals).toEqual([]);
  expect(after.held).toHaveLength(2 * streamNames.length);
});

test('what somebody changed is found and put right, and what is none of ours is left alone', async () => {
  await act();
  const stranger = freshName('stranger');
  await admin.setTopicConfigs('de.readings.v1', {
    'retention.ms': '1000',
    'max.message.bytes': '2000000',
  });
  await admin.revoke('lander', grantsOf('DE', 'lander').slice(0, 1));
  await admin.grant('serving', grantsOf('DE', 'raw').slice(0, 1));
  await admin.grant(stranger, grantsOf('DE', 'raw'));
  await expect
    .poll(async () => kindsOf((await kafkaDiff(admin, wish)).changes).toSorted())
    .toEqual(['rights lander', 'rights serving', 'topic-configs de.readings.v1']);
  await act();
  await expect.poll(async () => kindsOf((await kafkaDiff(admin, wish)).changes)).toEqual([]);
  expect((await admin.grants()).get(stranger)?.grants).toHaveLength(grantsOf('DE', 'raw').length);
  const topics = await admin.topics(['de.readings.v1']);
  expect(topics.get('de.readings.v1')?.configs).toMatchObject({
    'max.message.bytes': '2000000',
  });
});

test('another partition count and too few brokers are refused with what to do', async () => {
  await act();
  const { refusals } = await kafkaDiff(admin, { ...wish, partitions: 4, replicas: 3 });
  expect(refusals.filter(({ reason }) => reason === 'PartitionsDiffer')).toHaveLength(
    streamNames.length,
  );
  expect(refusals.map(({ reason }) => reason)).toContain('ReplicasTooFew');
});

test('an address that cannot be read is told at once', () => {
  const access = { bootstrap: 'nowhere', username: 'a', password: 'b', ca: undefined };
  expect(() => openCellAdmin(access)).toThrow('expected host:port');
});
