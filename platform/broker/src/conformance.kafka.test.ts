import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import type { Target } from '@domicile/mqtt/conformance/bench.ts';
import { conformanceSuite } from '@domicile/mqtt/conformance/test-suite.ts';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { OpenHouse } from './messages/test-open-house.ts';
import { askPaho } from './test-paho.ts';

let house: OpenHouse;

beforeAll(async () => {
  house = await OpenHouse.open(2);
});

afterAll(() => house[Symbol.asyncDispose]());

async function connectTo(replica: number): Promise<Socket> {
  const port = house.replicas[replica]?.mqttPort;
  if (port === undefined) throw new Error(`No replica ${replica}`);
  const socket = connect({ port, host: '127.0.0.1', noDelay: true });
  await once(socket, 'connect');
  return socket;
}

function target(replicaOf: (nth: number) => number): Target {
  return { connect: (nth) => connectTo(replicaOf(nth)), patienceMs: 15_000, quietMs: 250 };
}

conformanceSuite('the broker on Kafka', () => target(() => 0));

conformanceSuite('the broker on Kafka, clients spread over two replicas', () =>
  target((nth) => nth % 2),
);

test.each([4, 5] as const)(
  'paho-mqtt (Python) is at home over two replicas, in version %d',
  async (version) => {
    const ports = house.replicas.flatMap(({ mqttPort }) => mqttPort ?? []);
    expect(await askPaho(ports, version, 200)).toEqual({
      orderly: [true, true, true],
      retained: ['retained'],
      away: [true, true],
      will: ['gone'],
      ...(version === 5 && {
        properties: [
          [
            ['b', '1'],
            ['a', '2'],
            ['b', '3'],
          ],
          '00ff',
          'answer',
        ],
      }),
    });
  },
);
