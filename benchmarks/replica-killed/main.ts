/**
 * Lane `replica-killed`: two brokers, 2,000 clients with sessions that stay, subscribed at QoS 1. One broker is killed; how
 * long until all of its clients are back at the other one with their sessions, and have a message that was published
 * after the kill? Brokers on core 0, clients and Kafka on core 1.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { must } from '@domicile/core/invariants.ts';
import { connect, connectAsync, type MqttClient } from 'mqtt';
import {
  BenchmarkCell,
  keepReport,
  median,
  password,
  pinSelf,
  type Server,
} from '../mqtt-servers.ts';

const rounds = 5;
const clientsCount = 2_000;
const buildingsCount = 100;
const perBuilding = clientsCount / buildingsCount;
const connectingMax = 50;
const retryMs = 100;
const publishEveryMs = 500;
const backTimeoutMs = 120_000;

interface Subscriber {
  readonly id: string;
  readonly building: string;
  readonly topic: string;
  /** When it last got a message that was published after `awaited`. */
  backAt: number | undefined;
  lost: boolean;
  client: MqttClient | undefined;
}

await pinSelf();
await using cell = await BenchmarkCell.start(buildingsCount);
const outcomes: { allBackMs: number; medianMs: number; sessionsLost: number }[] = [];
for (let round = 0; round < rounds; round += 1) {
  outcomes.push(await measure(round));
  process.stdout.write(`${JSON.stringify(outcomes.at(-1))}\n`);
}
await keepReport('replica-killed', {
  rounds,
  clients: clientsCount,
  allBackMs: Math.round(median(outcomes.map((each) => each.allBackMs))),
  worstMs: Math.round(Math.max(...outcomes.map((each) => each.allBackMs))),
  medianMs: Math.round(median(outcomes.map((each) => each.medianMs))),
  sessionsLost: outcomes.reduce((sum, each) => sum + each.sessionsLost, 0),
});

async function measure(round: number) {
  const entry = 'platform/broker/src/main.ts';
  const [doomed, other] = [await cell.startNode(entry), await cell.startNode(entry)];
  const subscribers = makeSubscribers(round);
  await inParallel(subscribers, (one) => join(one, doomed, true));
  let killedAt = Infinity;
  const hear = (one: Subscriber, text: string): void => {
    if (Number(text) > killedAt) one.backAt ??= performance.now();
  };
  for (const one of subscribers) keepConnected(one, other, hear);
  const publishers = await Promise.all(
    cell.buildings.map((_, index) =>
      connectAsync(`mqtt://127.0.0.1:${other.port}`, credentials(index)),
    ),
  );
  const talking = setInterval(() => {
    for (const one of subscribers) {
      const from = publishers[cell.buildings.indexOf(one.building)];
      from?.publish(one.topic, `${performance.now()}`, { qos: 1 }, () => {});
    }
  }, publishEveryMs);
  await sleep(3_000);
  killedAt = performance.now();
  cell.stop(doomed);
  while (subscribers.some(({ backAt }) => backAt === undefined)) {
    if (performance.now() > killedAt + backTimeoutMs) throw new Error('Not all clients came back');
    await sleep(20);
  }
  clearInterval(talking);
  const backs = subscribers.map(({ backAt }) => must(backAt, 'it is back') - killedAt);
  const sessionsLost = subscribers.filter(({ lost }) => lost).length;
  for (const one of subscribers) one.client?.end(true);
  for (const one of publishers) one.end(true);
  await sleep(1_000);
  cell.stop(other);
  return { allBackMs: Math.max(...backs), medianMs: median(backs), sessionsLost };
}

function makeSubscribers(round: number): Subscriber[] {
  return Array.from({ length: clientsCount }, (_, index) => {
    const building = must(cell.buildings[Math.floor(index / perBuilding)], 'a building');
    return {
      id: `kept-${round}-${index}`,
      building,
      topic: `v1/${building}/r${index % perBuilding}-air/telemetry`,
      backAt: undefined,
      lost: false,
      client: undefined,
    };
  });
}

function credentials(building: number) {
  return {
    username: must(cell.buildings[building], 'a building'),
    password,
    clientId: `publisher-${building}`,
    reconnectPeriod: 0,
  };
}

async function join(one: Subscriber, { port }: Server, isFirst: boolean): Promise<void> {
  const client = connect(`mqtt://127.0.0.1:${port}`, {
    username: one.building,
    password,
    clientId: one.id,
    protocolVersion: 5,
    clean: false,
    properties: { sessionExpiryInterval: 3_600 },
    reconnectPeriod: 0,
    connectTimeout: 20_000,
  });
  client.on('error', () => {});
  const isPresent = await new Promise<boolean>((resolve, reject) => {
    client.once('connect', ({ sessionPresent }) => resolve(sessionPresent));
    client.once('close', () => reject(new Error('Not connected')));
  });
  one.client = client;
  one.lost ||= !isFirst && !isPresent;
  if (isFirst) await client.subscribeAsync(one.topic, { qos: 1 });
}

/** Goes to the other broker as soon as this one is gone; the message handler is set before the next packet is read. */
function keepConnected(
  one: Subscriber,
  other: Server,
  hear: (one: Subscriber, text: string) => void,
): void {
  const { client } = one;
  client?.on('message', (_topic, payload) => hear(one, payload.toString()));
  client?.once('close', () => void comeBack(one, other, hear));
}

async function comeBack(
  one: Subscriber,
  other: Server,
  hear: (one: Subscriber, text: string) => void,
): Promise<void> {
  const deadline = performance.now() + backTimeoutMs;
  while (performance.now() < deadline && one.backAt === undefined) {
    const joined = await join(one, other, false).then(
      () => true,
      () => false,
    );
    if (joined) {
      keepConnected(one, other, hear);
      return;
    }
    await sleep(retryMs);
  }
}

async function inParallel<Item>(
  items: readonly Item[],
  work: (item: Item) => Promise<void>,
): Promise<void> {
  let next = 0;
  const run = async (): Promise<void> => {
    while (next < items.length) {
      const item = must(items[next], 'an item');
      next += 1;
      await work(item);
    }
  };
  await Promise.all(Array.from({ length: connectingMax }, run));
}
