import { once } from 'node:events';
import { connect } from 'node:net';
import { topicOf } from '@domicile/core/streams.ts';
import { freshName } from '@domicile/devkit/fresh-name.ts';
import { readTopic } from '@domicile/devkit/kafka-reading.ts';
import { waitFor } from '@domicile/devkit/wait-for.ts';
import { endOffsets } from '@domicile/kafka/topic-follower.ts';
import { TransactionalProducer } from '@domicile/kafka/transactional-producer.ts';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { OpenHouse, partitions } from '../messages/test-open-house.ts';
import { SessionLog } from './session-log.ts';

let house: OpenHouse;
beforeAll(async () => {
  house = await OpenHouse.open(2);
});
afterAll(() => house[Symbol.asyncDispose]());

const persistent = (clientId: string) =>
  ({ clientId, clean: false, properties: { sessionExpiryInterval: 600 } }) as const;

async function payloadsOf(topic: string): Promise<(string | undefined)[]> {
  const records = await readTopic(house.kafka.admin(), topicOf('DE', 'mqtt-messages'));
  return records
    .filter(({ key }) => key?.toString() === topic)
    .map(({ value }) => value?.toString());
}

const text = (value: string) => [value.length >> 8, value.length & 255, ...Buffer.from(value)];
const packet = (type: number, ...body: number[]) => Buffer.from([type, body.length, ...body]);

/** MQTT 3.1.1 by hand: a client that leaves an exchange where it likes. */
async function speak(
  replica: number,
  clientId: string,
): Promise<(bytes: Buffer) => Promise<Buffer>> {
  const socket = connect(house.replicas[replica]?.mqttPort ?? 0, '127.0.0.1');
  const say = async (bytes: Buffer) => {
    socket.write(bytes);
    const [answer]: Buffer[] = await once(socket, 'data');
    return answer ?? Buffer.alloc(0);
  };
  const connack = await say(packet(0x10, ...text('MQTT'), 4, 0, 0, 60, ...text(clientId)));
  expect(connack[3]).toBe(0);
  return say;
}

test('what was begun at one replica is not taken again at another: message and packet id are kept together', async () => {
  const topic = freshName('t');
  const clientId = freshName('c');
  const publish = (flags: number) =>
    packet(0x30 | flags, ...text(topic), 0, 9, ...Buffer.from('once'));
  const pubrec = packet(0x50, 0, 9);
  const first = await speak(0, clientId);
  expect(await first(publish(0b0100))).toEqual(pubrec);
  const second = await speak(1, clientId);
  expect(await second(publish(0b1100))).toEqual(pubrec);
  expect(await payloadsOf(topic)).toEqual(['once']);
  // Released at one replica, it is free at the next.
  expect(await second(packet(0x62, 0, 9))).toEqual(packet(0x70, 0, 9));
  const third = await speak(0, clientId);
  expect(await third(publish(0b0100))).toEqual(pubrec);
  expect(await payloadsOf(topic)).toEqual(['once', 'once']);
});

test('hundreds of messages of many sessions are each kept once', async () => {
  const topic = freshName('t');
  const clients = await Promise.all(
    [0, 1, 0, 1].map((replica) => house.client(replica, persistent(freshName('c')))),
  );
  const wanted = clients.flatMap((_, client) =>
    Array.from({ length: 100 }, (__, index) => `${client}-${index}`),
  );
  await Promise.all(
    clients.map((client, of) =>
      Promise.all(
        Array.from({ length: 100 }, (_, index) =>
          client.publishAsync(topic, `${of}-${index}`, { qos: 2 }),
        ),
      ),
    ),
  );
  expect(await payloadsOf(topic)).toHaveLength(400);
  expect(new Set(await payloadsOf(topic))).toEqual(new Set(wanted));
});

test('a replica that was fenced reads on, keeps what comes and repeats nothing', async () => {
  const topic = freshName('t');
  const client = await house.client(0, persistent(freshName('c')));
  await client.publishAsync(topic, 'before', { qos: 2 });
  for (const replica of await replicas()) {
    const transactionalId = `broker-${replica}-qos2`;
    const producer = await TransactionalProducer.open({
      client: { ...house.kafka.client('broker'), clientId: 'fence' },
      transactionalId,
    });
    await producer.discard();
  }
  // Refused once, as its transaction cannot be: the client comes again with it.
  client.options.reconnectPeriod = 20;
  client.options.reconnectOnConnackError = true;
  await client.publishAsync(topic, 'after', { qos: 2 });
  await client.publishAsync(topic, 'later', { qos: 2 });
  expect(await payloadsOf(topic)).toEqual(['before', 'after', 'later']);
});

async function replicas(): Promise<string[]> {
  const records = await readTopic(house.kafka.admin(), topicOf('DE', 'mqtt-sessions'));
  const keys = records.map(({ key }) => key?.toString().split('\0') ?? []);
  return [...new Set(keys.flatMap(([scope, replica]) => (scope === 'r' ? (replica ?? []) : [])))];
}

test('whoever catches up with the log of sessions does not wait for a record behind the marker of a transaction', async () => {
  const kafka = house.kafka.client('broker');
  const topic = topicOf('DE', 'mqtt-sessions');
  const fail = (error: unknown) => void house.failures.push(error);
  await using log = await SessionLog.open({ kafka, country: 'DE', deliveryTimeoutMs: 10_000 });
  const read = new Set<string>();
  await log.follow(({ key }) => void read.add(key), fail);
  const before = await endOffsets({ client: kafka, topic });
  const keys = Array.from({ length: partitions }, (_, partition) => `${partition} ${topic}`);
  const transactionalId = `broker-${freshName('t')}`;
  const producer = await TransactionalProducer.open({
    client: { ...kafka, clientId: 'test' },
    transactionalId,
  });
  await producer.send(
    keys.map((key, partition) => ({
      topic,
      key: Buffer.from(key),
      partition,
      value: Buffer.from('{}'),
    })),
  );
  await producer.commit();
  await producer.discard();
  // Past the record and its marker.
  const areThere = async () => {
    const ends = await endOffsets({ client: kafka, topic });
    return ends.every((end, partition) => end >= (before[partition] ?? 0n) + 2n);
  };
  await waitFor('the markers of the transaction', areThere);
  await log.catchUp();
  expect(keys.every((key) => read.has(key))).toBe(true);
});
