import assert from 'node:assert/strict';
import { setTimeout as wait } from 'node:timers/promises';
import type { Bench, Case } from '../bench.ts';
import type { Client } from '../client.ts';
import { type Heard, numberOf, valueOf, valuesOf } from '../heard.ts';
import {
  ackPacket,
  byte,
  type Connect,
  connectPacket,
  packet,
  packetType,
  pingPacket,
  type Properties,
  publishPacket,
  subscribePacket,
  text,
  u16,
  unsubscribePacket,
} from '../wire.ts';

const malformed = [0x81, 0x82];
const notUtf8 = Buffer.from([0x61, 0xff, 0x62]);

/** Bytes instead of a right CONNECT: no success, and the end. MQTT 3.1.1 has no code for it (3.1.4-1). */
async function refusesBytes(bench: Bench, bytes: Buffer, codes: readonly number[] = malformed) {
  const client = await bench.open();
  client.send(bytes);
  const last = await client.closing();
  if (!bench.is5) assert.equal(last, undefined, 'no CONNACK for what is no CONNECT');
  else if (last) await client.isRefused(...codes);
}

function refuses(bench: Bench, of: Connect, codes?: readonly number[]): Promise<void> {
  const bytes = connectPacket(bench.version, { clientId: bench.clientId(), ...of });
  return refusesBytes(bench, bytes, codes);
}

export const connectCases: readonly Case[] = [
  {
    v5: '3.1.0-1 3.14.0-1',
    v3: '3.1.0-1',
    says: 'what comes before CONNECT ends the connection, without a DISCONNECT',
    run: async (bench) => {
      const first = [
        pingPacket,
        publishPacket(bench.version, { topic: 'a' }),
        subscribePacket(bench.version, { id: 1, filters: [['a', 0]] }),
      ];
      for (const bytes of first) {
        const client = await bench.open();
        client.send(bytes);
        assert.equal((await client.closing())?.type, undefined);
      }
    },
  },
  {
    v5: '3.1.0-2',
    v3: '3.1.0-2',
    says: 'a second CONNECT ends the connection',
    run: async (bench) => {
      const client = await bench.client();
      client.send(connectPacket(bench.version, { clientId: client.clientId }));
      await client.isClosed(0x82);
    },
  },
  {
    v5: '3.1.2-1',
    v3: '3.1.2-1',
    says: 'a protocol name that is not MQTT is not served',
    run: async (bench) => {
      for (const protocolName of ['MQTTX', 'mqtt', 'HTTP', '']) {
        const client = await bench.open();
        client.send(connectPacket(bench.version, { clientId: client.clientId, protocolName }));
        const last = await client.closing();
        assert.notEqual(last?.code, 0);
      }
    },
  },
  {
    v3: '3.1.2-2',
    says: 'a protocol level that is not known is answered with 0x01, and the connection ends',
    run: async (bench) => {
      for (const level of [2, 6, 0x44]) {
        const client = await bench.open();
        client.send(connectPacket(4, { clientId: client.clientId, level }));
        await client.isRefused(0x01);
      }
    },
  },
  {
    v5: '3.1.2-2',
    says: 'a protocol version that is not known is not served',
    run: async (bench) => {
      const client = await bench.open();
      const heard: Buffer[] = [];
      client.socket.removeAllListeners('data').on('data', (bytes: Buffer) => heard.push(bytes));
      client.send(connectPacket(5, { clientId: client.clientId, level: 6 }));
      await client.closing();
      // In its own words, or in those of 3.1.1 that every version can read.
      assert.match(Buffer.concat(heard).toString('hex'), /^(20..0084|20020001$|$)/);
    },
  },
  {
    v5: '3.1.2-3',
    v3: '3.1.2-3',
    says: 'the reserved flag of CONNECT must be 0',
    run: (bench) => refuses(bench, { flags: 0x03 }),
  },
  {
    v5: '3.1.2-11 3.1.2-13',
    v3: '3.1.2-11 3.1.2-13 3.1.2-15',
    says: 'without a will its QoS and retain flags must be 0',
    run: async (bench) => {
      await bench.every([0x0a, 0x12, 0x22], (flags) => refuses(bench, { flags }));
    },
  },
  {
    v5: '3.1.2-12',
    v3: '3.1.2-14',
    says: 'a will of QoS 3 is refused',
    run: (bench) => refuses(bench, { will: { topic: 'a', payload: '', qos: 3 } }),
  },
  {
    v5: '3.1.2-9',
    v3: '3.1.2-9',
    says: 'a will flag without a will in the payload is refused',
    run: (bench) => refuses(bench, { flags: 0x06 }),
  },
  {
    v5: '3.1.2-16 3.1.2-17 3.1.2-18 3.1.2-19',
    v3: '3.1.2-18 3.1.2-19 3.1.2-20 3.1.2-21',
    says: 'user name and password are there if and only if their flags say so',
    run: async (bench) => {
      await refuses(bench, { flags: 0x82 });
      await refuses(bench, { flags: 0xc2, userName: 'a' });
      await refuses(bench, { flags: 0x02, userName: 'a' });
      await refuses(bench, { flags: 0x82, userName: 'a', password: 'b' });
    },
  },
  {
    v3: '3.1.2-22',
    says: 'a password without a user name is refused',
    run: (bench) => refuses(bench, { password: 'b' }),
  },
  {
    v5: '§3.1.2.9',
    says: 'a password without a user name is allowed',
    run: async (bench) => {
      await bench.client({ password: 'b' });
    },
  },
  {
    v5: '3.1.3-3',
    v3: '3.1.3-3',
    says: 'a CONNECT without a client id is refused',
    run: (bench) => {
      const properties = bench.is5 ? [byte(0)] : [];
      const parts = [text('MQTT'), byte(bench.version), byte(2), u16(0), ...properties];
      return refusesBytes(bench, packet(0x10, ...parts));
    },
  },
  {
    v5: '3.1.3-4 3.1.3-11 3.1.3-12 1.5.4-1 1.5.4-2',
    v3: '3.1.3-4 3.1.3-10 3.1.3-11 1.5.3-1 1.5.3-2',
    says: 'client id, will topic and user name must be UTF-8 without U+0000',
    run: async (bench) => {
      for (const bad of [notUtf8, Buffer.from('a\0b')]) {
        await refuses(bench, { clientId: bad }, [...malformed, 0x85]);
        await refuses(bench, { will: { topic: bad, payload: 'x' } }, [...malformed, 0x90]);
        await refuses(bench, { userName: bad });
      }
    },
  },
  {
    v5: '3.1.3-5',
    v3: '3.1.3-5',
    says: 'client ids of 1 to 23 letters and digits are allowed',
    run: async (bench) => {
      const unique = bench.prefix.slice(0, 9);
      for (const clientId of [`${unique}ABCXYZabcxyz01`, unique]) {
        await bench.client({ clientId });
      }
      // One letter may be another test's.
      const short = await bench.open(['q', 'Z', '7'][bench.version % 3]);
      assert.equal((await short.connect()).code, 0);
    },
  },
  {
    v5: '3.1.3-6 3.1.3-7 3.2.2-16',
    says: 'an empty client id gets one that nobody has, and is told it',
    run: async (bench) => {
      const one = await (await bench.open('')).connect();
      const other = await (await bench.open('')).connect();
      const ids = [one, other].map((connack) => valueOf(connack, 'assignedClientId'));
      assert.ok(ids.every((id) => typeof id === 'string' && id.length > 0));
      assert.notEqual(ids[0], ids[1]);
    },
  },
  {
    v3: '3.1.3-6 3.1.3-7',
    says: 'an empty client id is allowed with clean session, and two of them are two clients',
    run: async (bench) => {
      const one = await bench.open('');
      const other = await bench.open('');
      for (const client of [one, other]) assert.equal((await client.connect()).code, 0);
      await one.ping();
      await other.ping();
    },
  },
  {
    v3: '3.1.3-8 3.1.3-9 3.2.2-4 3.2.2-5',
    says: 'an empty client id without clean session is answered with 0x02, and the connection ends',
    run: async (bench) => {
      const client = await bench.open('');
      client.send(connectPacket(4, { clientId: '', clean: false }));
      await client.isRefused(0x02);
    },
  },
  {
    v5: '3.1.3-8 3.2.2-6 3.2.2-7',
    v3: '3.1.3-9 3.2.2-4 3.2.2-5',
    says: 'a client id that is not allowed is answered so, and the connection ends',
    run: async (bench) => {
      const client = await bench.open();
      client.send(connectPacket(bench.version, { clientId: bench.prefix.repeat(600) }));
      await client.isRefused(bench.is5 ? 0x85 : 0x02);
    },
  },
  {
    v5: '3.1.3-1',
    v3: '3.1.3-1',
    says: 'client id, will, user name and password are read in this order',
    run: async (bench) => {
      const watcher = await bench.client();
      await watcher.subscribe(bench.topic('will'));
      const client = await bench.client({
        userName: 'user',
        password: 'password',
        will: { topic: bench.topic('will'), payload: 'the will' },
      });
      client.cut();
      assert.deepEqual(await watcher.payloads(1), ['the will']);
    },
  },
  {
    v5: '3.1.4-1 4.13.1-1 4.13.2-1',
    v3: '3.1.4-1 3.2.2-6 4.8.0-1 2.2.2-2',
    says: 'a CONNECT that breaks the format is refused',
    run: async (bench) => {
      const whole = connectPacket(bench.version, { clientId: 'a' });
      await refusesBytes(bench, Buffer.concat([byte(0x11), whole.subarray(1)]));
      const short = Buffer.from(whole.subarray(0, -1));
      short[1] = (short[1] ?? 0) - 1;
      await refusesBytes(bench, short);
      const long = Buffer.concat([whole, byte(0)]);
      long[1] = (long[1] ?? 0) + 1;
      await refusesBytes(bench, long);
    },
  },
  {
    v5: '3.1.4-1 §3.1.2.11',
    says: 'properties of CONNECT that are repeated, forbidden or of a wrong value are refused',
    run: async (bench) => {
      const twice = ['sessionExpiry', 1] as const;
      const wrong: readonly Properties[] = [
        [['receiveMaximum', 0]],
        [['maximumPacketSize', 0]],
        [['requestProblem', 2]],
        [['requestResponse', 2]],
        [['topicAlias', 1]],
        [['willDelay', 1]],
        [['authData', 'x']],
        [twice, twice],
      ];
      await bench.every(wrong, (properties) => refuses(bench, { properties }));
      const will = { topic: 'a', payload: 'x', properties: [['sessionExpiry', 1]] } as const;
      await refuses(bench, { will });
    },
  },
  {
    v5: '3.1.4-5 3.1.4-4 3.2.0-1 3.2.0-2 3.2.2-1 3.2.2-8',
    v3: '3.1.4-4 3.1.4-3 3.2.0-1',
    says: 'an accepted CONNECT is answered with one CONNACK 0x00 before anything else',
    run: async (bench) => {
      const client = await bench.open();
      const filters = [[bench.topic('a'), 0]] as const;
      client.send(
        connectPacket(bench.version, { clientId: client.clientId }),
        subscribePacket(bench.version, { id: 1, filters }),
        publishPacket(bench.version, { topic: bench.topic('a'), payload: 'x' }),
        pingPacket,
      );
      const connack = await client.next();
      assert.deepEqual([connack.type, connack.code], [packetType.connack, 0]);
      await client.take(packetType.publish);
      await client.take(packetType.pingresp);
      assert.deepEqual(
        client.inbox.map(({ type }) => type),
        [packetType.suback],
      );
    },
  },
  {
    v5: '3.1.4-6',
    v3: '3.1.4-5',
    says: 'what follows a refused CONNECT is not handled',
    run: async (bench) => {
      const watcher = await bench.client();
      await watcher.subscribe(bench.topic('a'));
      const client = await bench.open('');
      const wrong: Connect = bench.is5 ? { properties: [['authMethod', 'x']] } : { clean: false };
      client.send(
        connectPacket(bench.version, { clientId: '', ...wrong }),
        publishPacket(bench.version, { topic: bench.topic('a'), payload: 'x' }),
      );
      await client.isRefused(0x8c, 0x02);
      await watcher.hearsNothing();
    },
  },
  {
    v5: '3.1.4-2 4.12.0-1 4.12.0-4 §3.2.2.2',
    says: 'an authentication method is refused with 0x8c, and the connection ends',
    run: async (bench) => {
      const client = await bench.open();
      const properties = [['authMethod', 'SCRAM-SHA-1']] as const;
      client.send(connectPacket(5, { clientId: client.clientId, properties }));
      await client.isRefused(0x8c, 0x87);
    },
  },
  {
    v5: '4.12.0-6',
    says: 'without an authentication method none is answered',
    run: async (bench) => {
      const connack = await (await bench.open()).connect();
      assert.equal(valueOf(connack, 'authMethod'), undefined);
      assert.equal(valueOf(connack, 'authData'), undefined);
    },
  },
  {
    v5: '3.1.2-28',
    says: 'response information is not sent to who does not ask for it',
    run: async (bench) => {
      for (const properties of [[], [['requestResponse', 0]]] as const) {
        const connack = await (await bench.open()).connect({ properties });
        assert.equal(valueOf(connack, 'responseInformation'), undefined);
      }
    },
  },
  {
    v5: '3.1.2-29',
    says: 'who wants no problem information gets no reason string and no user property in an ack',
    run: async (bench) => {
      const client = await bench.client({ properties: [['requestProblem', 0]] });
      await client.publish(bench.topic('nobody'), 'x', { qos: 1 });
      await client.publish(bench.topic('nobody'), 'x', { qos: 2 });
      client.send(subscribePacket(5, { id: 60_000, filters: [[bench.topic('a'), 1]] }));
      const ack = await client.take(packetType.suback);
      assert.deepEqual(ack.properties, []);
      await client.unsubscribe(bench.topic('unknown'));
      const complete = await client.release(60_001);
      assert.deepEqual(complete.properties, []);
    },
  },
  {
    v5: '3.2.2-9 3.2.2-10 §3.2.2.3',
    says: 'CONNACK tells what is served: all QoS, retained messages, wildcards, identifiers, sharing',
    run: async (bench) => {
      const connack = await (await bench.open()).connect();
      assert.deepEqual(valuesOf(connack, 'maximumQos'), []);
      for (const name of [
        'retainAvailable',
        'wildcardAvailable',
        'identifiersAvailable',
        'sharedAvailable',
      ] as const) {
        assert.equal(numberOf(connack, name, 1), 1, name);
      }
      assert.notEqual(numberOf(connack, 'receiveMaximum', 65_535), 0);
      assert.notEqual(numberOf(connack, 'maximumPacketSize', 1), 0);
    },
  },
  {
    v5: '3.1.2-22 3.2.2-22',
    v3: '3.1.2-24',
    says: 'who is silent for one and a half times its keep alive is cut off, and not before',
    run: async (bench) => {
      const client = await bench.open();
      const connack = await client.connect({ keepAlive: 1 });
      assert.deepEqual(valuesOf(connack, 'serverKeepAlive'), []);
      await wait(1100);
      const before = performance.now();
      await client.ping();
      await client.isClosed(0x8d);
      assert.ok(performance.now() - before > 1200);
    },
  },
  {
    v5: '3.2.2-22',
    v3: '3.1.2-24',
    says: 'any packet proves that the client lives, and keep alive 0 asks for no proof',
    run: async (bench) => {
      const client = await bench.client({ keepAlive: 2 });
      const silent = await bench.client({ keepAlive: 0 });
      for (const id of [1, 2, 3, 4]) {
        await wait(1000);
        await client.publish(bench.topic('a'), 'x', { qos: 1, id, only: true });
      }
      for (const _each of [1, 2, 3, 4]) await client.take(packetType.puback);
      await silent.ping();
    },
  },
  {
    v5:
      '3.1.2-24 3.2.2-19 3.2.2-20 3.4.2-2 3.4.2-3 3.5.2-2 3.5.2-3 3.6.2-2 3.6.2-3 3.7.2-2 3.7.2-3 ' +
      '3.9.2-1 3.9.2-2 3.11.2-1 3.11.2-2 3.14.2-3 3.14.2-4',
    says: 'no packet of any type exceeds the size that the client takes',
    run: async (bench) => {
      const client = await bench.open();
      const heard = await allAnswers(bench, client);
      assert.equal(new Set(heard.map(({ type }) => type)).size, 9);
      assert.deepEqual(
        heard.filter(({ bytes }) => bytes > 60).map(({ type, bytes }) => ({ type, bytes })),
        [],
      );
    },
  },
];

/** Every kind of answer, for a client that takes 60 bytes. */
async function allAnswers(bench: Bench, client: Client): Promise<Heard[]> {
  const heard = [await client.connect({ properties: [['maximumPacketSize', 60]] })];
  const topic = bench.topic('a');
  client.send(subscribePacket(5, { id: 1, filters: [[topic, 1]] }));
  heard.push(await client.take(packetType.suback));
  await client.publish(bench.topic('nobody'), 'x', { qos: 1, id: 2, only: true });
  heard.push(await client.take(packetType.puback));
  await client.publish(bench.topic('nobody'), 'x', { qos: 2, id: 3, only: true });
  heard.push(await client.take(packetType.pubrec), await client.release(3));
  client.send(ackPacket({ type: packetType.pubrec, id: 77 }));
  heard.push(await client.take(packetType.pubrel));
  await client.publish(topic, 'y'.repeat(100));
  await client.publish(topic, 'z', { qos: 1 });
  heard.push(await client.receive());
  client.send(unsubscribePacket(5, { id: 4, filters: [topic] }));
  heard.push(await client.take(packetType.unsuback));
  client.send(packet(0x00));
  const last = await client.closing();
  return last ? [...heard, last] : heard;
}
