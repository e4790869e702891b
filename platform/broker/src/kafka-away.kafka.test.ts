import { setTimeout as wait } from 'node:timers/promises';
import { freshName } from '@domicile/devkit/fresh-name.ts';
import { waitFor } from '@domicile/devkit/wait-for.ts';
import { reason } from '@domicile/mqtt/reason-codes.ts';
import { expect, test } from 'vitest';
import { TestHouse } from './test-house.ts';

/** Publishes while Kafka is dead; gives what was acked, and what is in Kafka once it is back. */
async function publishedWhileDead(house: TestHouse) {
  const building = freshName('de');
  await house.declare(building);
  const client = await house.clientSoon(building);
  const topic = `v1/${building}/d1/telemetry`;
  await client.publishAsync(topic, 'before', { qos: 1 });
  let disconnectedWith: number | undefined;
  client.on('disconnect', ({ reasonCode }) => {
    disconnectedWith = reasonCode;
  });
  await house.kafka.cluster.kill(1);
  const acked: string[] = [];
  for (const payload of ['one', 'two']) {
    void client
      .publishAsync(topic, payload, { qos: payload === 'one' ? 1 : 2 })
      .then(() => acked.push(payload))
      .catch(() => undefined);
  }
  await wait(1500);
  return { building, client, acked, disconnectedWith: () => disconnectedWith };
}

async function keptOf(house: TestHouse, building: string) {
  const records = await house.records('telemetry');
  return records.filter(({ key }) => key?.toString() === building);
}

test('while Kafka is dead nothing is acked; when it is back, what waited is kept and acked (EMQX #18951)', async () => {
  await using house = await TestHouse.open();
  const { building, client, acked } = await publishedWhileDead(house);
  expect(acked).toEqual([]);
  const restartedMs = Date.now();
  house.kafka.cluster.restart(1);
  await house.kafka.cluster.ready();
  await waitFor('the acks', () => acked.length === 2);
  const kept = await keptOf(house, building);
  expect(kept.map(({ value }) => value?.toString())).toEqual(['before', 'one', 'two']);
  // The timestamp is the receipt, not when Kafka was ready for it.
  expect(Math.max(...kept.map(({ timestampMs }) => timestampMs))).toBeLessThan(restartedMs);
  await client.endAsync();
  expect(house.failures).toEqual([]);
});

test('when Kafka stays away, clients are told to come again, and nothing is acked (EMQX #18951)', async () => {
  await using house = await TestHouse.open({ deliveryTimeoutMs: 1000 });
  const { acked, client, disconnectedWith } = await publishedWhileDead(house);
  await waitFor('the disconnect', () => disconnectedWith() !== undefined);
  expect(disconnectedWith()).toBe(reason.serverBusy);
  expect(acked).toEqual([]);
  await client.endAsync(true);
  house.kafka.cluster.restart(1);
  await house.kafka.cluster.ready();
});

test('the mutant acks what Kafka does not have: the test above can fail', async () => {
  await using house = await TestHouse.open({ mutant: 'ack-before-kafka' });
  const { acked, client } = await publishedWhileDead(house);
  await waitFor('both acks', () => acked.length === 2);
  expect(acked).toEqual(['one', 'two']);
  expect(house.lines.join('')).toContain('deliberate fault');
  await client.endAsync(true);
  house.kafka.cluster.restart(1);
  await house.kafka.cluster.ready();
});
