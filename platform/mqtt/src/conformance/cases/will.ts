import assert from 'node:assert/strict';
import { setTimeout as wait } from 'node:timers/promises';
import type { Bench, Case } from '../bench.ts';
import type { Client } from '../client.ts';
import { valueOf, valuesOf } from '../heard.ts';
import { disconnectPacket, packet, type Will } from '../wire.ts';

/** A client with a will, and one that watches for it. */
async function deathbed(bench: Bench, will: Partial<Will> = {}, clientId = bench.clientId()) {
  const watcher = await bench.client();
  await watcher.subscribe(bench.topic('will'));
  const whole: Will = { topic: bench.topic('will'), payload: 'gone', ...will };
  const client = await bench.client({ ...bench.kept(clientId), will: whole });
  return { watcher, client };
}

async function finds(bench: Bench): Promise<Client> {
  const late = await bench.client();
  await late.subscribe(bench.topic('will'));
  return late;
}

export const willCases: readonly Case[] = [
  {
    v5: '3.1.2-7 3.1.2-8',
    v3: '3.1.2-8',
    says: 'a will of each QoS is published when the connection breaks',
    run: async (bench) => {
      for (const qos of [0, 1, 2]) {
        const { watcher, client } = await deathbed(bench, { qos, payload: `gone ${qos}` });
        client.cut();
        const heard = await watcher.receive();
        assert.deepEqual([heard.payload.toString(), heard.qos], [`gone ${qos}`, qos]);
      }
    },
  },
  {
    v5: '3.1.2-8',
    v3: '3.1.2-8',
    says: 'a will is published when the server closes for an error of the client',
    run: async (bench) => {
      const { watcher, client } = await deathbed(bench);
      client.send(packet(0x36, Buffer.from('xx')));
      await client.isClosed(0x81);
      assert.deepEqual(await watcher.payloads(1), ['gone']);
    },
  },
  {
    v5: '3.1.2-8',
    v3: '3.1.2-8',
    says: 'a will is published when the keep alive passes',
    run: async (bench) => {
      const watcher = await bench.client();
      await watcher.subscribe(bench.topic('will'));
      await bench.client({ keepAlive: 1, will: { topic: bench.topic('will'), payload: 'gone' } });
      assert.deepEqual(await watcher.payloads(1), ['gone']);
    },
  },
  {
    v5: '3.1.2-10 3.14.4-3',
    v3: '3.1.2-10 3.14.4-3',
    says: 'a DISCONNECT takes the will back',
    run: async (bench) => {
      const { watcher, client } = await deathbed(bench);
      await client.leave();
      await watcher.hearsNothing();
    },
  },
  {
    v5: '3.1.2-10',
    v3: '3.1.2-10',
    says: 'a will is published once',
    run: async (bench) => {
      const id = bench.clientId();
      const { watcher, client } = await deathbed(bench, {}, id);
      client.cut();
      assert.deepEqual(await watcher.payloads(1), ['gone']);
      const again = await bench.client(bench.kept(id));
      again.cut();
      await watcher.hearsNothing();
    },
  },
  {
    v5: '§3.14.2.1',
    says: 'DISCONNECT with 0x04 leaves the will to be published',
    run: async (bench) => {
      const { watcher, client } = await deathbed(bench);
      client.send(disconnectPacket(0x04));
      assert.deepEqual(await watcher.payloads(1), ['gone']);
    },
  },
  {
    v3: '3.1.2-12',
    says: 'without a will flag nothing is published',
    run: async (bench) => {
      const watcher = await bench.client();
      await watcher.subscribe(`${bench.prefix}/#`);
      (await bench.client()).cut();
      await watcher.hearsNothing();
    },
  },
  {
    v5: '3.1.2-14',
    v3: '3.1.2-16',
    says: 'a will without the retain flag is not retained',
    run: async (bench) => {
      const { watcher, client } = await deathbed(bench);
      client.cut();
      assert.equal((await watcher.receive()).retain, false);
      await (await finds(bench)).hearsNothing();
    },
  },
  {
    v5: '3.1.2-15',
    v3: '3.1.2-17',
    says: 'a will with the retain flag is retained',
    run: async (bench) => {
      const { watcher, client } = await deathbed(bench, { retain: true, qos: 1 });
      client.cut();
      await watcher.receive();
      const found = await (await finds(bench)).receive();
      assert.deepEqual([found.payload.toString(), found.retain], ['gone', true]);
    },
  },
  {
    v5: '3.1.2-8 3.1.3-9',
    says: 'a will is published after its delay, and not before',
    run: async (bench) => {
      const { watcher, client } = await deathbed(bench, { properties: [['willDelay', 2]] });
      client.cut();
      const before = performance.now();
      await watcher.receive();
      assert.ok(performance.now() - before > 1500);
    },
  },
  {
    v5: '3.1.3-9',
    says: 'who comes back within the will delay has not died',
    run: async (bench) => {
      const id = bench.clientId();
      const { watcher, client } = await deathbed(bench, { properties: [['willDelay', 3]] }, id);
      client.cut();
      await bench.client(bench.kept(id));
      await wait(4500);
      await watcher.hearsNothing();
    },
  },
  {
    v5: '3.1.2-8',
    says: 'the end of the session ends the will delay',
    run: async (bench) => {
      const watcher = await bench.client();
      await watcher.subscribe(bench.topic('will'));
      const properties = [['willDelay', 60]] as const;
      const will = { topic: bench.topic('will'), payload: 'gone', properties };
      const client = await bench.client({ will });
      client.cut();
      assert.deepEqual(await watcher.payloads(1), ['gone']);
    },
  },
  {
    v5: '3.1.3-10 3.3.2-20 3.3.2-15 3.3.2-16 3.3.2-17',
    says: 'a will keeps its properties, and user properties their order',
    run: async (bench) => {
      const { watcher, client } = await deathbed(bench, {
        properties: [
          ['contentType', 'text/plain'],
          ['responseTopic', 'answer'],
          ['correlationData', 'c'],
          ['userProperty', ['b', '1']],
          ['userProperty', ['a', '2']],
          ['userProperty', ['b', '3']],
        ],
      });
      client.cut();
      const heard = await watcher.receive();
      assert.equal(valueOf(heard, 'contentType'), 'text/plain');
      assert.equal(valueOf(heard, 'responseTopic'), 'answer');
      assert.deepEqual(valueOf(heard, 'correlationData'), Buffer.from('c'));
      assert.deepEqual(valuesOf(heard, 'userProperty'), [
        ['b', '1'],
        ['a', '2'],
        ['b', '3'],
      ]);
    },
  },
  {
    v5: '3.1.2-8 §3.14.2.1',
    says: 'DISCONNECT with an error does not take the will back',
    run: async (bench) => {
      const { watcher, client } = await deathbed(bench);
      client.send(disconnectPacket(0x80));
      assert.deepEqual(await watcher.payloads(1), ['gone']);
    },
  },
  {
    v5: '3.1.2-8 §3.1.4',
    v3: '3.1.2-8',
    says: 'a take-over ends the older connection as if it had broken: its will is published',
    run: async (bench) => {
      const id = bench.clientId();
      const { watcher } = await deathbed(bench, {}, id);
      await bench.client(bench.kept(id));
      assert.deepEqual(await watcher.payloads(1), ['gone']);
      await watcher.hearsNothing();
    },
  },
];
