import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { freshName } from '@domicile/devkit/fresh-name.ts';
import { waitFor } from '@domicile/devkit/wait-for.ts';
import { generate, type Packet } from 'mqtt-packet';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { heardBy, OpenHouse } from './test-open-house.ts';

const workers = 6;
const stormMs = 8_000;
const seed = Math.trunc(Math.random() * 2 ** 31);

let house: OpenHouse;
beforeAll(async () => {
  house = await OpenHouse.open(0);
  // A process of its own: a broker that no longer answers must not hold the test.
  await house.spawn();
});
afterAll(() => house[Symbol.asyncDispose]());

/** Numbers from 0 to 1, the same for the same seed. */
function diceOf(start: number): () => number {
  let state = start;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

/** Connects under one of four names, asks for a share, publishes to it and goes, at any moment and in any way. */
async function comeAndGo(socket: Socket, dice: () => number, topic: string): Promise<void> {
  await once(socket, 'connect');
  const send = (packet: Packet) => socket.write(generate(packet, { protocolVersion: 5 }));
  send({
    cmd: 'connect',
    protocolId: 'MQTT',
    protocolVersion: 5,
    clientId: `${topic}-${Math.trunc(dice() * 4)}`,
    clean: dice() < 0.5,
    keepalive: 0,
    properties: { sessionExpiryInterval: dice() < 0.5 ? 0 : 5 },
  });
  const share = { topic: `$share/q/${topic}/+`, qos: 1 } as const;
  send({ cmd: 'subscribe', messageId: 1, subscriptions: [share] });
  for (let count = Math.trunc(dice() * 4); count > 0; count -= 1)
    send({
      cmd: 'publish',
      topic: `${topic}/${count}`,
      payload: 'x',
      qos: 1,
      messageId: count + 1,
      dup: false,
      retain: false,
    });
  if (dice() < 0.3) send({ cmd: 'disconnect' });
  else if (dice() < 0.5) socket.end();
  await sleep(5 + dice() * 150);
  socket.destroy();
}

test(`members that end while they join hold nobody up (seed ${seed})`, async () => {
  const topic = freshName('t');
  const port = house.replicas[0]?.mqttPort ?? 0;
  const until = performance.now() + stormMs;
  const storm = async (dice: () => number): Promise<void> => {
    while (performance.now() < until) {
      const socket = connect(port, '127.0.0.1');
      socket.on('error', () => undefined);
      socket.resume();
      await comeAndGo(socket, dice, topic);
    }
  };
  await Promise.all(Array.from({ length: workers }, (_, index) => storm(diceOf(seed + index))));

  const member = await house.client(0);
  const heard = heardBy(member);
  await member.subscribeAsync(`$share/q/${topic}/+`, { qos: 1 });
  const publisher = await house.client(0);
  const sent = Array.from({ length: 50 }, (_, index) => `${topic}/last ${index}`);
  for (const text of sent)
    await publisher.publishAsync(`${topic}/last`, text.split(' ')[1] ?? '', { qos: 1 });
  const last = () => heard.filter((text) => text.startsWith(`${topic}/last`));
  await waitFor('what was published to the group', () => last().length >= sent.length);
  // What a member had that was just going comes again, behind others.
  expect(last().toSorted()).toEqual(sent.toSorted());
});
