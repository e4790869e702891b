import { parseCellSpec } from '@domicile/core/resources/cell.ts';
import { grantsOf, type Principal, principals, streamNames } from '@domicile/core/streams.ts';
import { KafkaCluster } from '@domicile/devkit/kafka-cluster.ts';
import { type KafkaChange, openCellAdmin } from '@domicile/kafka/cell-diff.ts';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { specOfDe } from '../../model/cell/test-plan.ts';
import { type KafkaWork, kafkaStep } from './kafka-step.ts';
import { realEnds } from './real-ends.ts';

let cluster: KafkaCluster;
const password = 'sre-secret';

beforeAll(async () => {
  // The operator comes in as people who run Kafka do: by SCRAM, where clients come in.
  cluster = await KafkaCluster.start({
    nodes: 1,
    racks: ['europe-west3'],
    security: { kind: 'scram', passwords: { sre: password } },
    properties: { 'super.users': 'User:admin;User:sre' },
  });
});
afterAll(() => cluster.stop());

function work(changes: Partial<KafkaWork> = {}): KafkaWork & { readonly acts: KafkaChange[] } {
  const acts: KafkaChange[] = [];
  const { bootstrap } = cluster;
  return {
    acts,
    spec: parseCellSpec(specOfDe({ kafka: { bootstrap, partitions: 2, replicas: 1 } })),
    home: { country: 'DE', regions: ['europe-west3'] },
    users: principals.map((principal: Principal) => ({
      principal,
      password: `${principal}-secret`,
      renew: true,
    })),
    access: {
      bootstrap,
      username: 'sre',
      password,
      ca: undefined,
    },
    open: realEnds.openKafka,
    mayAct: () => undefined,
    acted: (change) => void acts.push(change),
    told: async () => undefined,
    ...changes,
  };
}

// In this order: the second needs a Kafka in which nothing has been made yet.
test('a Kafka abroad is seen by its rack, and nothing is made in it', async () => {
  const abroad = work({ home: { country: 'DE', regions: ['europe-west10'] } });
  const step = await kafkaStep(abroad);
  expect(step.condition).toMatchObject({ status: 'False', reason: 'BrokerAbroad' });
  expect(step.breaches[0]?.evidence).toContain('europe-west3, outside DE (europe-west10)');
  expect(abroad.acts).toEqual([]);
});

test('a Kafka at home gets topics, users, rights and quotas in one look, and then nothing more', async () => {
  const first = work();
  const made = await kafkaStep(first);
  expect(made.condition).toMatchObject({ status: 'True', reason: 'AsDeclared' });
  expect(made.isProved).toBe(true);
  const kinds = first.acts.map(({ kind }) => kind);
  expect(kinds.filter((kind) => kind === 'topic')).toHaveLength(streamNames.length);
  expect(new Set(kinds)).toEqual(new Set(['topic', 'user', 'rights', 'quotas']));

  const second = work();
  const users = second.users.map((user) => ({ ...user, renew: false }));
  const again = { ...second, users };
  expect(await kafkaStep(again)).toMatchObject({ condition: { status: 'True' } });
  expect(second.acts).toEqual([]);
});

test('rights that others have on the streams are told and left alone', async () => {
  const { access, spec } = work();
  await using admin = openCellAdmin(access);
  await admin.grant('mirror', grantsOf('DE', 'raw'));
  const users = work().users.map((user) => ({ ...user, renew: false }));
  const look = () => kafkaStep(work({ users, spec }));
  const reason = async () => (await look()).condition.reason;
  await expect.poll(reason, { timeout: 30_000 }).toBe('OthersHaveRights');
  const { condition } = await look();
  expect(condition).toMatchObject({ status: 'True' });
  expect(condition.message).toContain('mirror: READ of topic de.readings.v1');
});

test('an operator that leads no more writes nothing', async () => {
  const fenced = work({
    mayAct: (doing) => {
      throw new Error(`may not ${doing}`);
    },
  });
  await expect(kafkaStep(fenced)).rejects.toThrow('may not change user');
  expect(fenced.acts).toEqual([]);
});

test('another partition count is refused with the way', async () => {
  const { spec } = work();
  const other = work({ spec: { ...spec, kafka: { ...spec.kafka, partitions: 4 } } });
  const step = await kafkaStep(other);
  expect(step.condition).toMatchObject({ status: 'False', reason: 'PartitionsDiffer' });
});

test('a wrong password and a Kafka that is away are told apart', async () => {
  const { access } = work();
  const wrong = await kafkaStep(work({ access: { ...access, password: 'wrong' } }));
  expect(wrong.condition.reason).toBe('KafkaCredentialsRefused');
  const away = await kafkaStep(work({ access: { ...access, bootstrap: '127.0.0.1:1' } }));
  expect(away.condition.reason).toBe('KafkaUnreachable');
});
