import { must } from '@domicile/core/invariants.ts';
import { grantsOf, principals, streamNames } from '@domicile/core/streams.ts';
import { freshName } from '@domicile/devkit/fresh-name.ts';
import { KafkaCluster } from '@domicile/devkit/kafka-cluster.ts';
import {
  Admin,
  AclOperations,
  AclPermissionTypes,
  ResourcePatternTypes,
} from '@platformatic/kafka';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { aclOf, userOf } from './acls.ts';
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
  await admin.takeBack(
    grantsOf('DE', 'lander')
      .slice(0, 1)
      .map((grant) => aclOf('lander', grant)),
  );
  await admin.grant('serving', grantsOf('DE', 'raw').slice(0, 1));
  await admin.grant(stranger, grantsOf('DE', 'raw'));
  await expect
    .poll(async () => kindsOf((await kafkaDiff(admin, wish)).changes).toSorted())
    .toEqual(['rights lander', 'rights serving', 'topic-configs de.readings.v1']);
  await act();
  await expect.poll(async () => kindsOf((await kafkaDiff(admin, wish)).changes)).toEqual([]);
  const stays = (await admin.acls()).filter((acl) => userOf(acl) === stranger);
  expect(stays).toHaveLength(grantsOf('DE', 'raw').length);
  const { strangers } = await kafkaDiff(admin, wish);
  expect(strangers).toContain(`${stranger}: READ of topic de.readings.v1`);
  expect(strangers.every((one) => one.startsWith(stranger))).toBe(true);
  const topics = await admin.topics(['de.readings.v1']);
  expect(topics.get('de.readings.v1')?.configs).toMatchObject({
    'max.message.bytes': '2000000',
  });
});

test('what nobody of us is ever granted is taken back from our users, and told of others', async () => {
  await act();
  const readings = grantsOf('DE', 'raw').find(({ name }) => name === 'de.readings.v1');
  const acl = aclOf('serving', must(readings, 'raw reads readings'));
  const all = { ...acl, operation: AclOperations.ALL, resourceName: '*' };
  const entries = [
    all,
    { ...acl, host: '10.0.0.1' },
    { ...acl, principal: 'User:lander', permissionType: AclPermissionTypes.DENY },
  ];
  const everybody = { ...all, principal: 'User:*', resourceName: 'd' };
  const prefixed = { ...everybody, resourcePatternType: ResourcePatternTypes.PREFIXED };
  const elsewhere = { ...prefixed, resourceName: 'dx.' };
  const client = new Admin({ ...cluster.admin(), clientId: 'test' });
  try {
    await client.createAcls({ creations: [...entries, prefixed, elsewhere] });
  } finally {
    await client.close();
  }
  const diff = () => kafkaDiff(admin, wish);
  await expect
    .poll(async () => kindsOf((await diff()).changes).toSorted())
    .toEqual(['rights lander', 'rights serving']);
  await act();
  await expect.poll(async () => kindsOf((await diff()).changes)).toEqual([]);
  const { strangers } = await diff();
  expect(strangers.filter((one) => one.startsWith('everybody'))).toEqual([
    'everybody: ALL of topic d*',
  ]);
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
