/**
 * Lane `fan-out`: one message to 1,000 subscribers, from its publication until the last of them has it. Our broker, through
 * Kafka, beside mosquitto, which keeps nothing of a QoS 0 message. Servers on core 0, clients and Kafka on core 1.
 */
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { must } from '@domicile/core/invariants.ts';
import { connectAsync, type MqttClient } from 'mqtt';
import {
  BenchmarkCell,
  keepReport,
  median,
  password,
  pinSelf,
  quantile,
  type Server,
} from '../mqtt-servers.ts';
import { RawSubscriber } from './raw-subscriber.ts';

const rounds = 5;
const subscribersCount = 1_000;
const messages = 50;
const everyMs = 150;
const arriveTimeoutMs = 20_000;

await pinSelf();
await using cell = await BenchmarkCell.start(1);
const building = must(cell.buildings[0], 'a building');
const topic = `v1/${building}/r101-air/telemetry`;
const servers = {
  ours: await cell.startNode('platform/broker/src/main.ts'),
  mosquitto: await cell.startMosquitto(),
};
type ServerName = keyof typeof servers;
const outcomes: Record<ServerName, { lastP50Ms: number; lastP99Ms: number; lastMaxMs: number }[]> =
  {
    ours: [],
    mosquitto: [],
  };
for (let round = 0; round < rounds; round += 1)
  for (const name of ['ours', 'mosquitto'] as const)
    outcomes[name].push(await measure(servers[name]));
const of = (name: ServerName) => ({
  lastP50Ms: Number(median(outcomes[name].map((each) => each.lastP50Ms)).toFixed(1)),
  lastP99Ms: Number(median(outcomes[name].map((each) => each.lastP99Ms)).toFixed(1)),
  worstMs: Number(Math.max(...outcomes[name].map((each) => each.lastMaxMs)).toFixed(1)),
});
await keepReport('fan-out', {
  rounds,
  subscribers: subscribersCount,
  messages,
  ours: of('ours'),
  mosquitto: of('mosquitto'),
});

async function measure({ port }: Server) {
  let arrived = 0;
  let lastAt = 0;
  const heard = (count: number): void => {
    arrived += count;
    lastAt = performance.now();
  };
  const subscribers: RawSubscriber[] = [];
  for (let index = 0; index < subscribersCount; index += 1)
    subscribers.push(
      await RawSubscriber.open({ port, building, password, topic, clientId: `s-${index}`, heard }),
    );
  const publisher = await connectAsync(`mqtt://127.0.0.1:${port}`, {
    username: building,
    password,
    clientId: 'publisher',
  });
  const latencies: number[] = [];
  for (let index = 0; index < messages; index += 1) {
    arrived = 0;
    latencies.push(
      await publishOne(
        publisher,
        () => arrived >= subscribersCount,
        () => lastAt,
      ),
    );
    await sleep(everyMs);
  }
  await publisher.endAsync();
  await Promise.all(subscribers.map((subscriber) => subscriber.close()));
  return {
    lastP50Ms: quantile(latencies, 0.5),
    lastP99Ms: quantile(latencies, 0.99),
    lastMaxMs: Math.max(...latencies),
  };
}

async function publishOne(
  publisher: MqttClient,
  hasArrived: () => boolean,
  lastAt: () => number,
): Promise<number> {
  const from = performance.now();
  publisher.publish(topic, JSON.stringify({ at: Date.now(), values: { co2: 600 } }), { qos: 1 });
  const deadline = from + arriveTimeoutMs;
  while (!hasArrived()) {
    if (performance.now() > deadline) throw new Error('A message did not reach all subscribers');
    await once(globalTick(), 'tick');
  }
  return lastAt() - from;
}

/** A turn of the loop without holding it. */
function globalTick(): EventTarget {
  const target = new EventTarget();
  setImmediate(() => target.dispatchEvent(new Event('tick')));
  return target;
}
