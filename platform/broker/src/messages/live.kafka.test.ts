import { freshName } from '@domicile/devkit/fresh-name.ts';
import { waitFor } from '@domicile/devkit/wait-for.ts';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { heardBy, OpenHouse } from './test-open-house.ts';

let house: OpenHouse;
beforeAll(async () => {
  house = await OpenHouse.open(2);
});
afterAll(() => house[Symbol.asyncDispose]());

test('what one client publishes reaches who subscribes, on every replica, in order', async () => {
  const topic = `${freshName('t')}/a`;
  const here = await house.client(0);
  const there = await house.client(1);
  const heard = [heardBy(here), heardBy(there)];
  await here.subscribeAsync(topic, { qos: 2 });
  await there.subscribeAsync(topic.replace('/a', '/#'), { qos: 1 });
  const publisher = await house.client(0);
  const sent = Array.from({ length: 200 }, (_, index) => `${topic} ${index}`);
  await Promise.all(
    sent.map((_, index) => publisher.publishAsync(topic, `${index}`, { qos: index % 2 ? 1 : 2 })),
  );
  await waitFor('all messages', () => heard.every(({ length }) => length >= sent.length));
  expect(heard.map((each) => each.length)).toEqual([200, 200]);
  const own = (wanted: number, list: readonly string[]) =>
    list.filter((text) => Number(text.split(' ')[1]) % 2 === wanted);
  for (const list of heard) {
    expect(own(0, list)).toEqual(own(0, sent));
    expect(own(1, list)).toEqual(own(1, sent));
  }
});

test('a retained message reaches a later subscriber once, on every replica', async () => {
  const topic = `${freshName('t')}/state`;
  const publisher = await house.client(0);
  await publisher.publishAsync(topic, 'old', { qos: 1, retain: true });
  await publisher.publishAsync(topic, 'new', { qos: 1, retain: true });
  for (const replica of [0, 1]) {
    const client = await house.client(replica);
    const heard = heardBy(client);
    await client.subscribeAsync(topic, { qos: 1 });
    await publisher.publishAsync(topic, `live ${replica}`, { qos: 1 });
    await waitFor('both', () => heard.length >= 2);
    expect(heard).toEqual([`${topic} new retained`, `${topic} live ${replica}`]);
  }
});

test('a renewed subscription gets what is retained again, if it asks so', async () => {
  const topic = freshName('t');
  const client = await house.client(0);
  const heard = heardBy(client);
  await client.subscribeAsync(topic, { qos: 1 });
  const publisher = await house.client(1);
  await publisher.publishAsync(topic, 'x', { qos: 1, retain: true });
  await waitFor('the live one', () => heard.length > 0);
  await client.subscribeAsync(topic, { qos: 1, rh: 1 });
  await client.subscribeAsync(topic, { qos: 1, rh: 2 });
  await client.subscribeAsync(topic, { qos: 1, rh: 0 });
  await waitFor('the retained one', () => heard.length > 1);
  await publisher.publishAsync(topic, '', { qos: 1, retain: true });
  await client.subscribeAsync(topic, { qos: 1, rh: 0 });
  await publisher.publishAsync(topic, 'end', { qos: 1 });
  await waitFor('the end', () => heard.length > 3);
  expect(heard).toEqual([`${topic} x`, `${topic} x retained`, `${topic} `, `${topic} end`]);
});

test('a share group gets each message once, its members in turn', async () => {
  const topic = `${freshName('t')}/job`;
  const name = `$share/workers/${topic.replace('/job', '/#')}`;
  const clients = [await house.client(0), await house.client(0), await house.client(0)];
  const heard = clients.map(heardBy);
  for (const client of clients) await client.subscribeAsync(name, { qos: 1 });
  const publisher = await house.client(1);
  const sent = Array.from({ length: 90 }, (_, index) => `${topic} ${index}`);
  await Promise.all(sent.map((_, index) => publisher.publishAsync(topic, `${index}`, { qos: 1 })));
  await waitFor('all messages', () => heard.flat().length >= sent.length);
  expect(heard.flat().toSorted()).toEqual(sent.toSorted());
  for (const own of heard) expect(own.length).toBeGreaterThan(10);
  // Who is gone leaves the work to the others.
  await clients[0]?.endAsync();
  await Promise.all(sent.map((_, index) => publisher.publishAsync(topic, `${index}`, { qos: 1 })));
  await waitFor('all messages', () => heard.flat().length >= 2 * sent.length);
  await clients[1]?.unsubscribeAsync(name);
  await publisher.publishAsync(topic, 'last', { qos: 1 });
  await waitFor('the last', () => heard[2]?.includes(`${topic} last`) ?? false);
});
