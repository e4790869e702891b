/**
 * Lane `connections`: how fast clients connect, and what memory a connection takes that says nothing. Our broker beside a bare
 * packet loop, each on core 0; the clients and Kafka on core 1.
 */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { must } from '@domicile/core/invariants.ts';
import { generate } from 'mqtt-packet';
import {
  BenchmarkCell,
  keepReport,
  median,
  password,
  pinSelf,
  residentBytesOf,
  type Server,
} from '../mqtt-servers.ts';

const rounds = 5;
const clients = 10_000;
const buildingsCount = 100;
/** Connections that are being made at a time. */
const connectingMax = 200;
const restMs = 3_000;
/** Made and closed first: what a server needs once is not a connection's. */
const warmUpClients = 1_000;

await pinSelf();
const outcomes: Record<'ours' | 'bare', { perSecond: number; bytesEach: number }[]> = {
  ours: [],
  bare: [],
};
const entries = {
  ours: 'platform/broker/src/main.ts',
  bare: 'benchmarks/ingest/bare-loop.ts',
} as const;
{
  await using cell = await BenchmarkCell.start(buildingsCount);
  for (let round = 0; round < rounds; round += 1) {
    for (const name of round % 2 === 0
      ? (['ours', 'bare'] as const)
      : (['bare', 'ours'] as const)) {
      const server = await cell.startNode(entries[name], {
        BROKER_ADDRESS_HANDSHAKES_WAITING_MAX: '100000',
        BROKER_HANDSHAKES_PER_SECOND_MAX: '1000000',
      });
      outcomes[name].push(await measure(server, cell.buildings));
      cell.stop(server);
    }
  }
}
const mediansOf = (name: 'ours' | 'bare') => ({
  connectsPerSecond: Math.round(median(outcomes[name].map((each) => each.perSecond))),
  bytesPerConnection: Math.round(median(outcomes[name].map((each) => each.bytesEach))),
});
await keepReport('connections', {
  rounds,
  clients,
  ours: mediansOf('ours'),
  bare: mediansOf('bare'),
});

async function measure(server: Server, buildings: readonly string[]) {
  for (const socket of await open(server.port, { count: warmUpClients, buildings, from: clients }))
    socket.destroy();
  await sleep(restMs);
  const before = await residentBytesOf(server);
  const from = performance.now();
  const sockets = await open(server.port, { count: clients, buildings, from: 0 });
  const perSecond = clients / ((performance.now() - from) / 1000);
  await sleep(restMs);
  const bytesEach = ((await residentBytesOf(server)) - before) / clients;
  const alive = sockets.filter((socket) => !socket.destroyed).length;
  if (alive !== clients) throw new Error(`Only ${alive} of ${clients} stayed connected`);
  for (const socket of sockets) socket.destroy();
  return { perSecond, bytesEach };
}

async function open(
  port: number,
  of: { readonly count: number; readonly buildings: readonly string[]; readonly from: number },
): Promise<readonly Socket[]> {
  const sockets: Socket[] = [];
  let next = 0;
  const work = async (): Promise<void> => {
    while (next < of.count) {
      const index = of.from + next;
      next += 1;
      sockets.push(
        await openOne(port, index, must(of.buildings[index % of.buildings.length], 'a')),
      );
    }
  };
  await Promise.all(Array.from({ length: connectingMax }, work));
  return sockets;
}

async function openOne(port: number, index: number, building: string): Promise<Socket> {
  const socket = connect({ host: '127.0.0.1', port, noDelay: true });
  socket.on('error', () => undefined);
  socket.write(
    generate({
      cmd: 'connect',
      protocolVersion: 4,
      clientId: `idle-${index}`,
      clean: true,
      keepalive: 0,
      username: building,
      password: Buffer.from(password),
    }),
  );
  const [connack] = await once(socket, 'data');
  if (Buffer.from(connack)[3] !== 0) throw new Error('The server refused the connection');
  return socket;
}
