import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import type { Target } from '@domicile/mqtt/conformance/bench.ts';
import { conformanceSuite } from '@domicile/mqtt/conformance/test-suite.ts';
import { afterAll, beforeAll } from 'vitest';
import { OpenHouse } from './messages/test-open-house.ts';

let house: OpenHouse;

beforeAll(async () => {
  house = await OpenHouse.open(1);
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
  return { connect: (nth) => connectTo(replicaOf(nth)), patienceMs: 15_000, quietMs: 400 };
}

conformanceSuite('the broker on Kafka', () => target(() => 0));
