import { setTimeout as wait } from 'node:timers/promises';
import { freshName } from '@domicile/devkit/fresh-name.ts';
import { waitFor } from '@domicile/devkit/wait-for.ts';
import { expect, test } from 'vitest';
import { heardBy, OpenHouse } from './test-open-house.ts';

test('EMQX #18951: while Kafka is away nothing is acked, and all that was acked reaches subscribers', async () => {
  await using house = await OpenHouse.open(2);
  const topic = freshName('t');
  const subscriber = await house.client(1);
  const heard = heardBy(subscriber);
  await subscriber.subscribeAsync(topic, { qos: 1 });
  const publisher = await house.client(0);
  const acked: string[] = [];
  const publish = (text: string) =>
    void publisher
      .publishAsync(topic, text, { qos: 1 })
      .then(() => acked.push(`${topic} ${text}`))
      .catch(() => undefined);
  for (let n = 0; n < 50; n += 1) publish(`before ${n}`);
  await waitFor('the first acks', () => acked.length === 50);
  await house.kafka.cluster.kill(1);
  for (let n = 0; n < 50; n += 1) publish(`away ${n}`);
  await wait(3_000);
  expect(acked.length).toBe(50);
  house.kafka.cluster.restart(1);
  await house.kafka.cluster.ready();
  await waitFor('the acks', () => acked.length === 100);
  await waitFor('the messages', () => heard.length >= 100);
  expect(heard).toEqual(acked);
  // Who comes now is served as before.
  const late = await house.client(0);
  const lateHeard = heardBy(late);
  await late.subscribeAsync(topic, { qos: 1 });
  publish('after');
  await waitFor('the last', () => lateHeard.length > 0);
  expect(lateHeard).toEqual([`${topic} after`]);
  expect(house.failures).toEqual([]);
});
