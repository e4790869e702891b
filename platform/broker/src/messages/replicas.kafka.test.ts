import { once } from 'node:events';
import { setTimeout as wait } from 'node:timers/promises';
import { topicOf } from '@domicile/core/streams.ts';
import { freshName } from '@domicile/devkit/fresh-name.ts';
import { waitFor } from '@domicile/devkit/wait-for.ts';
import { endOffsets } from '@domicile/kafka/topic-follower.ts';
import { connect, type MqttClient } from 'mqtt';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readerOf } from '../model/messages/share-assignment.ts';
import { groupName, ShareBook } from '../model/messages/share-book.ts';
import { parseKey } from '../model/sessions/session-keys.ts';
import { heardBy, OpenHouse, partitions } from './test-open-house.ts';

let house: OpenHouse;
beforeAll(async () => {
  house = await OpenHouse.open(2);
});
afterAll(() => house[Symbol.asyncDispose]());

const persistent = (clientId: string) =>
  ({ clientId, clean: false, properties: { sessionExpiryInterval: 600 } }) as const;
const numbers = (heard: readonly string[]) => heard.map((text) => Number(text.split(' ')[1]));
const range = (from: number, to: number) =>
  Array.from({ length: to - from }, (_, index) => from + index);

function connected(client: MqttClient): Promise<void> {
  return new Promise((resolve) => client.once('connect', () => resolve()));
}

async function publishAll(client: MqttClient, topic: string, wanted: readonly number[]) {
  await Promise.all(wanted.map((n) => client.publishAsync(topic, `${n}`, { qos: 1 })));
}

test('who comes back at another replica gets what was published meanwhile, in order', async () => {
  const topic = freshName('t');
  const session = persistent(freshName('c'));
  const first = await house.client(0, session);
  const heard = heardBy(first);
  await first.subscribeAsync([topic, `${topic}/#`], { qos: 1 });
  const publisher = await house.client(1);
  await publishAll(publisher, topic, range(0, 50));
  await waitFor('the first', () => heard.length >= 50);
  await first.endAsync();
  await publishAll(publisher, topic, range(50, 2_500));
  const second = await house.client(1, { ...session, heard });
  await waitFor('the rest', () => heard.length >= 2_500);
  // While it is there, it moves again.
  const publishing = publishAll(publisher, topic, range(2_500, 3_000));
  await second.endAsync();
  await house.client(0, { ...session, heard });
  await publishing;
  await waitFor('all', () => new Set(heard).size >= 3_000);
  expect([...new Set(numbers(heard))]).toEqual(range(0, 3_000));
});

test('TBMQ #320: who comes back without having acked gets it all again', async () => {
  const topic = freshName('t');
  const session = persistent(freshName('c'));
  const silent = await house.client(0, { ...session, isSilent: true });
  await silent.subscribeAsync(topic, { qos: 1 });
  const publisher = await house.client(1);
  await publishAll(publisher, topic, range(0, 300));
  // To come back alone must not move its position.
  for (const replica of [1, 0, 0]) {
    const heard: string[] = [];
    await house.client(replica, { ...session, isSilent: true, heard });
    await waitFor('a message', () => heard.length > 0);
    expect(numbers(heard)).toEqual([0]);
  }
  const heard: string[] = [];
  await house.client(1, { ...session, heard });
  await waitFor('all', () => heard.length >= 300);
  expect(numbers(heard)).toEqual(range(0, 300));
});

test('QoS 2 is exactly once for a subscriber that is thrown from replica to replica', async () => {
  const topic = freshName('t');
  const servers = house.replicas
    .slice(0, 2)
    .map(({ mqttPort: port = 0 }) => ({ host: '127.0.0.1', port }));
  const client = connect({
    servers,
    reconnectPeriod: 20,
    reconnectOnConnackError: true,
    protocolVersion: 5,
    ...persistent(freshName('c')),
  });
  const heard = heardBy(client);
  await connected(client);
  await client.subscribeAsync(topic, { qos: 2 });
  const publisher = await house.client(0);
  let sent = 0;
  for (let round = 0; round < 12; round += 1) {
    const wanted = range(sent, sent + 30);
    sent += 30;
    const publishing = Promise.all(
      wanted.map((n) => publisher.publishAsync(topic, `${n}`, { qos: 2 })),
    );
    await wait(15 * (round % 4));
    const back = connected(client);
    client.stream.destroy();
    await Promise.all([publishing, back]);
  }
  await waitFor('all', () => heard.length >= sent);
  await wait(300);
  client.end(true);
  expect(numbers(heard).toSorted((a, b) => a - b)).toEqual(range(0, sent));
});

/** Replicas that live, in no order. */
async function replicas(): Promise<string[]> {
  const last = new Map(
    (await house.records('mqtt-sessions')).map(({ key, value }) => [key?.toString() ?? '', value]),
  );
  return [...last].flatMap(([text, value]) => {
    const key = parseKey(text);
    return key?.of === 'replica' && value !== null ? key.replica : [];
  });
}

/** The name of a group of this filter of which each of the replicas has a place to read. */
function sharedByAll(ids: readonly string[], filter: string): string {
  const readersOf = (share: string) =>
    range(0, partitions).map((n) =>
      readerOf(groupName({ share, filter }), `mqtt-messages/${n}`, ids),
    );
  const found = range(0, 1000)
    .map((n) => `workers-${n}`)
    .find((share) => new Set(readersOf(share)).size === ids.length);
  if (found === undefined) throw new Error('No group is shared by all');
  return found;
}

/** Whether the group has kept that all of the log is taken. */
async function isAllKept(group: string): Promise<boolean> {
  const book = new ShareBook();
  for (const { key, value } of await house.records('mqtt-sessions')) {
    const read = parseKey(key?.toString() ?? '');
    if (read?.of === 'group')
      book.note(read.name, value === null ? undefined : JSON.parse(value.toString()));
  }
  const client = house.kafka.admin();
  const ends = await endOffsets({ client, topic: topicOf('DE', 'mqtt-messages') });
  return ends.every((end, n) => {
    const position = book.position(group, `mqtt-messages/${n}`)?.position;
    return position?.next === Number(end) && position.pending === undefined;
  });
}

test('a share group spans replicas; one that is killed loses nothing, and nothing acked comes again', async () => {
  const topic = `${freshName('t')}/`;
  const child = await house.spawn();
  const ids = await replicas();
  const share = sharedByAll(ids, `${topic}#`);
  const name = `$share/${share}/${topic}#`;
  const killed = house.replicas.length - 1;
  const heard = [new Array<string>(), new Array<string>(), new Array<string>()] as const;
  for (const [replica, own] of [
    [0, heard[0]],
    [1, heard[1]],
    [killed, heard[2]],
  ] as const) {
    const member = await house.client(replica, { clientId: freshName('w'), heard: own });
    await member.subscribeAsync(name, { qos: 1 });
  }
  const publisher = await house.client(0);
  let sent = 0;
  const publish = async (count: number) => {
    const wanted = range(sent, sent + count);
    sent += count;
    await Promise.all(
      wanted.map((n) => publisher.publishAsync(`${topic}${n % 50}`, `${n}`, { qos: 1 })),
    );
  };
  await publish(600);
  // Until a place has changed hands, its messages go to who had it before.
  await waitFor('each to get some', async () => {
    await publish(50);
    return heard.every(({ length }) => length > 5);
  });
  await waitFor('the first', () => heard.flat().length >= sent);
  await wait(300);
  expect(numbers(heard.flat()).toSorted((a, b) => a - b)).toEqual(range(0, sent));
  await waitFor('what is acked to be kept', () => isAllKept(`${share}/${topic}#`));
  const before = heard[2].length;
  child.kill('SIGKILL');
  await once(child, 'exit');
  await publish(600);
  await waitFor('the rest', () => new Set(heard.flat()).size >= sent, 30_000);
  const after = numbers([...heard[0], ...heard[1]]);
  expect(numbers(heard[2].slice(before))).toEqual([]);
  expect(after.length).toBe(sent - before);
});

test('QoS 2 is exactly once from a publisher that is thrown from replica to replica', async () => {
  const topic = freshName('t');
  const servers = house.replicas
    .slice(0, 2)
    .map(({ mqttPort: port = 0 }) => ({ host: '127.0.0.1', port }));
  const subscriber = await house.client(0);
  const heard = heardBy(subscriber);
  await subscriber.subscribeAsync(topic, { qos: 2 });
  const client = connect({
    servers,
    reconnectPeriod: 20,
    reconnectOnConnackError: true,
    protocolVersion: 5,
    ...persistent(freshName('c')),
  });
  await connected(client);
  let sent = 0;
  for (let round = 0; round < 10; round += 1) {
    const publishing = Promise.all(
      range(sent, sent + 20).map((n) =>
        // A PUBREL that comes again after its PUBCOMP is answered with "packet identifier not found".
        client.publishAsync(topic, `${n}`, { qos: 2 }).catch(() => undefined),
      ),
    );
    sent += 20;
    await wait(5 * (round % 4));
    client.stream.destroy();
    await publishing;
  }
  await waitFor('all', () => heard.length >= sent);
  await wait(300);
  client.end(true);
  expect(numbers(heard).toSorted((a, b) => a - b)).toEqual(range(0, sent));
});

test('members that come and go on two replicas lose nothing', async () => {
  const topic = `${freshName('t')}/`;
  const name = `$share/workers/${topic}#`;
  const heard: string[] = [];
  const keeper = await house.client(0, { ...persistent(freshName('w')), heard });
  await keeper.subscribeAsync(name, { qos: 1 });
  const publisher = await house.client(1);
  let sent = 0;
  for (let round = 0; round < 6; round += 1) {
    const publishing = Promise.all(
      range(sent, sent + 60).map((n) =>
        publisher.publishAsync(`${topic}${n % 20}`, `${n}`, { qos: 1 }),
      ),
    );
    sent += 60;
    const guest = await house.client((round + 1) % 2, { heard });
    await guest.subscribeAsync(name, { qos: 1 });
    await publishing;
    await guest.endAsync();
  }
  await waitFor('all', () => new Set(heard).size >= sent, 30_000);
  // What a guest had not acked when it left may have come twice.
  expect([...new Set(numbers(heard))].toSorted((a, b) => a - b)).toEqual(range(0, sent));
});

test('RMQTT #477: what is acked between a restart of everything and the client’s return reaches it', async () => {
  const topic = freshName('t');
  const session = persistent(freshName('c'));
  const client = await house.client(0, session);
  await client.subscribeAsync(topic, { qos: 1 });
  await client.endAsync();
  const publisher = await house.client(1);
  await publishAll(publisher, topic, range(0, 500));
  await publisher.publishAsync(`${topic}/state`, 'kept', { qos: 1, retain: true });
  await publisher.endAsync();
  await house.restart(2);
  const late = await house.client(0);
  await publishAll(late, topic, range(500, 600));
  const heard: string[] = [];
  await house.client(1, { ...session, heard });
  await waitFor('all of it', () => heard.length >= 600);
  expect(numbers(heard)).toEqual(range(0, 600));
  const retained = heardBy(late);
  await late.subscribeAsync(`${topic}/+`, { qos: 1 });
  await waitFor('what is retained', () => retained.length > 0);
  expect(retained).toEqual([`${topic}/state kept retained`]);
});
