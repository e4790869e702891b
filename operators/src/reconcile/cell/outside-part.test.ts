import { parseCellSpec } from '@domicile/core/resources/cell.ts';
import { createAuthority } from '@domicile/runtime/certificates.ts';
import { expect, test } from 'vitest';
import { packOfDe, planOfDe, specOfDe } from '../../model/cell/test-plan.ts';
import { secretKind } from '../../model/kinds.ts';
import { cellNamespace, decoded, operatorNamespace, testHouse } from '../building/test-house.ts';
import { cellEvents } from './cell-events.ts';
import { OutsidePart } from './outside-part.ts';
import type { KafkaPort } from './ports.ts';
import { SecretKeeper } from './secret-keeper.ts';
import { RememberedKafka } from './test-kafka.ts';

const authority = await createAuthority('test-authority');
const broker = { name: 'kafka-broker', namespace: cellNamespace };

/** A cell that looks at its Kafka; the credentials of the store are missing. */
function house() {
  const { kube, ports } = testHouse();
  const kafka = new RememberedKafka();
  /** What happens while Kafka is asked where its brokers are, and after it was told everything. */
  const meanwhile = { asked: () => {}, told: () => {} };
  const openKafka = (access: Parameters<RememberedKafka['open']>[0]): KafkaPort => {
    const opened = kafka.open(access);
    return {
      ...opened,
      brokers: async () => {
        meanwhile.asked();
        return opened.brokers();
      },
      [Symbol.asyncDispose]: async () => meanwhile.told(),
    };
  };
  const put = (ref: typeof broker, data: Readonly<Record<string, string>>) => {
    const encoded = Object.entries(data).map(([key, value]) => [
      key,
      Buffer.from(value).toString('base64'),
    ]);
    const before = kube.seen(secretKind, ref)?.metadata;
    const metadata = { ...before, ...ref };
    const secret = { apiVersion: 'v1', kind: 'Secret', metadata };
    kube.put(secretKind, { ...secret, data: Object.fromEntries(encoded) });
  };
  put(
    { name: 'kafka-admin', namespace: operatorNamespace },
    { username: 'admin', password: kafka.adminPassword },
  );
  const spec = parseCellSpec(specOfDe());
  const part = new OutsidePart({
    ports,
    settings: {
      imageTag: '1.2.3',
      regionsDir: 'regions',
      cellNamespace,
      cellResyncMs: 60_000,
    },
    ends: {
      openKafka,
      openStore: async () => {
        throw new Error('nobody asks the store');
      },
      identityOf: () => undefined,
    },
    events: cellEvents(ports),
  });
  const where = {
    keeper: new SecretKeeper({ kube: kube.kube, cache: kube.cache, labels: {} }),
    spec,
    operatorNamespace,
    nowMs: ports.now(),
  };
  const cell = { apiVersion: 'domicile.dev/v1alpha1', kind: 'Cell', metadata: { name: 'de' } };
  const plan = planOfDe();
  const look = () =>
    part.look({ cell, uid: plan.uid, spec, pack: packOfDe }, { where, plan, authority });
  const rotate = (password: string) => put(broker, { password });
  const told = () => kafka.passwords.get('broker');
  return { kube, kafka, meanwhile, look, rotate, told };
}

test('what Kafka was told is no reason to ask it again', async () => {
  const { kube, kafka, look, told } = house();
  expect((await look()).kafka.condition).toMatchObject({ status: 'True' });
  expect(told()).toBe(decoded(kube, broker)['password']);
  const { looks } = kafka;
  await look();
  expect(kafka.looks).toBe(looks);
});

test.for(['asked', 'told'] as const)(
  'a password that is changed while Kafka is being %s goes to it with the next look',
  async (when) => {
    const { kube, meanwhile, look, rotate, told } = house();
    meanwhile[when] = () => {
      meanwhile[when] = () => {};
      rotate('of-a-person');
    };
    await look();
    expect(decoded(kube, broker)['password']).toBe('of-a-person');
    expect(told()).not.toBe('of-a-person');
    await look();
    expect(decoded(kube, broker)['password']).toBe('of-a-person');
    expect(told()).toBe('of-a-person');
  },
);
