import assert from 'node:assert/strict';
import { setTimeout as wait } from 'node:timers/promises';
import type { Bench, Case } from '../bench.ts';
import type { Client } from '../client.ts';
import { ackPacket, packetType, subscribePacket } from '../wire.ts';

function share(bench: Bench, path: string, group = 'group'): string {
  return `$share/${bench.prefix}${group}/${bench.topic(path)}`;
}

function numeric(a: string, b: string): number {
  return Number(a) - Number(b);
}

/** What these clients together hear, at least so much if it comes, until it is quiet. */
async function allOf(bench: Bench, clients: readonly Client[], least: number): Promise<string[]> {
  const heard = () =>
    clients.flatMap(({ inbox }) => inbox.filter(({ type }) => type === packetType.publish));
  await bench.until(() => heard().length >= least);
  await Promise.all(clients.map((client) => client.hearsNothing().catch(() => undefined)));
  return heard().map(({ payload }) => payload.toString());
}

export const sharedCases: readonly Case[] = [
  {
    v5: '4.8.2-1 4.8.2-2',
    says: 'a share name that is empty, holds a wildcard or has no filter is refused',
    run: async (bench) => {
      const wrong = ['$share//a', '$share/a', '$share/a/', '$share/a+/b', '$share/#/b', '$share/'];
      await bench.each(wrong, async (client, filter) => {
        client.send(subscribePacket(5, { id: 1, filters: [[filter, 0]] }));
        const answer = await client.next();
        const refused = answer.type === packetType.suback ? answer.codes[0] : answer.code;
        assert.ok(refused !== undefined && [0x8f, 0x81, 0x82].includes(refused), filter);
      });
    },
  },
  {
    v5: '3.8.3-4',
    says: 'no local on a shared subscription is a protocol error',
    run: async (bench) => {
      const client = await bench.client();
      client.send(subscribePacket(5, { id: 1, filters: [[share(bench, 'a'), 1 | 4]] }));
      await client.isClosed(0x82);
    },
  },
  {
    v5: '§4.8.2',
    says: 'each message goes to one member of a group, and to every group',
    run: async (bench) => {
      const members = [await bench.client(), await bench.client()];
      const alone = await bench.client();
      const plain = await bench.client();
      for (const member of members) await member.subscribe([[share(bench, 'a/+'), 0]]);
      await alone.subscribe([[share(bench, 'a/+', 'other'), 0]]);
      await plain.subscribe([[bench.topic('a/+'), 0]]);
      const publisher = await bench.client();
      const all = Array.from({ length: 40 }, (_, at) => `${at}`);
      for (const each of all) {
        await publisher.publish(bench.topic(`a/${each}`), each, { qos: 1 });
      }
      assert.deepEqual((await allOf(bench, members, 40)).toSorted(numeric), all);
      assert.deepEqual((await allOf(bench, [alone], 40)).toSorted(numeric), all);
      assert.deepEqual((await allOf(bench, [plain], 40)).toSorted(numeric), all);
    },
  },
  {
    v5: '4.8.2-3',
    says: 'a member gets a message with the QoS that it was granted',
    run: async (bench) => {
      const client = await bench.client();
      for (const granted of [0, 1, 2]) {
        const path = `a${granted}`;
        assert.deepEqual(await client.subscribe([[share(bench, path), granted]]), [granted]);
        await client.publish(bench.topic(path), 'x', { qos: 2 });
        assert.equal((await client.receive()).qos, granted);
      }
    },
  },
  {
    v5: '4.8.2-4',
    says: 'a QoS 2 message that a member began to take is completed by it when it comes back',
    run: async (bench) => {
      const kept = bench.kept(bench.clientId());
      const member = await bench.client(kept);
      await member.subscribe([[share(bench, 'a'), 2]]);
      const other = await bench.client();
      await member.publish(bench.topic('a'), 'x', { qos: 2 });
      const { id } = await member.take(packetType.publish);
      await other.subscribe([[share(bench, 'a'), 2]]);
      member.send(ackPacket({ type: packetType.pubrec, id }));
      await member.take(packetType.pubrel);
      member.cut();
      await other.hearsNothing();
      const again = await bench.client(kept);
      assert.equal((await again.take(packetType.pubrel)).id, id);
    },
  },
  {
    v5: '4.8.2-5',
    says: 'if the session of that member ends first, no other member gets the message',
    run: async (bench) => {
      const member = await bench.client();
      await member.subscribe([[share(bench, 'a'), 2]]);
      const other = await bench.client();
      await other.publish(bench.topic('a'), 'x', { qos: 2 });
      await member.take(packetType.publish);
      await other.subscribe([[share(bench, 'a'), 2]]);
      member.cut();
      await other.hearsNothing();
    },
  },
  {
    v5: '4.8.2-6',
    says: 'a message that a member refuses goes to no other member',
    run: async (bench) => {
      const members = [await bench.client(), await bench.client()];
      for (const member of members) await member.subscribe([[share(bench, 'a'), 1]]);
      const publisher = await bench.client();
      await publisher.publish(bench.topic('a'), 'x', { qos: 1 });
      const refusals = members.map(async (member) => {
        const { id } = await member.take(packetType.publish);
        member.send(ackPacket({ type: packetType.puback, id, code: 0x83 }));
        return member;
      });
      const first = await Promise.any(refusals);
      for (const refusal of refusals) refusal.catch(() => undefined);
      const others = members.filter((member) => member !== first);
      assert.deepEqual(await allOf(bench, others, 0), []);
    },
  },
  {
    v5: '§4.8.2',
    says: 'a shared subscription is sent nothing of what is retained',
    run: async (bench) => {
      const client = await bench.client();
      await client.publish(bench.topic('a'), 'x', { qos: 1, retain: true });
      await client.subscribe([[share(bench, 'a'), 1]]);
      await client.hearsNothing();
    },
  },
  {
    v5: '3.10.4-1 §4.8.2',
    says: 'who leaves the group gets no more, and the others get all',
    run: async (bench) => {
      const [leaving, staying] = [await bench.client(), await bench.client()];
      await leaving.subscribe([[share(bench, 'a/+'), 0]]);
      await staying.subscribe([[share(bench, 'a/+'), 0]]);
      assert.deepEqual(await leaving.unsubscribe(share(bench, 'a/+')), [0]);
      await wait(50);
      for (const each of ['1', '2', '3', '4', '5', '6']) {
        await leaving.publish(bench.topic(`a/${each}`), each, { qos: 1 });
      }
      const heard = await staying.payloads(6);
      assert.deepEqual(heard.toSorted(), ['1', '2', '3', '4', '5', '6']);
      await leaving.hearsNothing();
    },
  },
];
