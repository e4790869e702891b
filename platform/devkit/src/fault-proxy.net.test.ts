import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, expect, test } from 'vitest';
import { FaultProxy } from './fault-proxy.ts';
import { freePorts } from './free-ports.ts';
import { waitFor } from './wait-for.ts';

const opened: { close(): unknown }[] = [];
afterEach(() => {
  for (const one of opened.splice(0)) one.close();
});

/** Says its name to whoever connects, then echoes. */
async function echo(name: string): Promise<number> {
  const server = createServer((socket) => {
    socket.on('error', () => {});
    socket.write(name);
    socket.pipe(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  opened.push(server);
  const address = server.address();
  return typeof address === 'object' && address ? address.port : 0;
}

interface Client {
  readonly socket: Socket;
  text(): string;
  readonly closed: Promise<unknown>;
}

function dial(port: number): Client {
  const socket = connect({ host: '127.0.0.1', port });
  opened.push({ close: () => socket.destroy() });
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  socket.on('error', () => {});
  const closed = new Promise((resolve) => {
    socket.once('close', resolve);
  });
  return { socket, text: () => Buffer.concat(chunks).toString(), closed };
}

test('a connection goes to the next target that answers', async () => {
  const [first, second] = [await echo('1'), await echo('2')];
  await using proxy = await FaultProxy.start({ targets: [first, 1, second] });
  const clients = [dial(proxy.port), dial(proxy.port), dial(proxy.port)];
  await waitFor('three answers', () => clients.every((client) => client.text().length === 1));
  expect(clients.map((client) => client.text()).toSorted()).toEqual(['1', '1', '2']);
});

test('cut resets and refuses, mended it carries again', async () => {
  await using proxy = await FaultProxy.start({ targets: [await echo('>')] });
  const before = dial(proxy.port);
  await waitFor('the greeting', () => before.text() === '>');
  proxy.cut();
  await before.closed;
  await dial(proxy.port).closed;
  proxy.mend();
  const after = dial(proxy.port);
  after.socket.write('abc');
  await waitFor('the echo', () => after.text() === '>abc');
  expect(proxy.connections).toBe(1);
});

test('half open: neither end hears or learns anything', async () => {
  await using proxy = await FaultProxy.start({ targets: [await echo('>')] });
  const old = dial(proxy.port);
  await waitFor('the greeting', () => old.text() === '>');
  proxy.silence();
  const late = dial(proxy.port);
  old.socket.write('lost');
  await sleep(100);
  expect([old.text(), late.text()]).toEqual(['>', '']);
  expect([old.socket.destroyed, late.socket.destroyed]).toEqual([false, false]);
  proxy.mend();
  old.socket.write('lost too');
  const fresh = dial(proxy.port);
  await waitFor('a new connection to work', () => fresh.text() === '>');
  expect(old.text()).toBe('>');
});

test('slow weather keeps every byte and its order', async () => {
  await using proxy = await FaultProxy.start({ targets: [await echo('>')] });
  const client = dial(proxy.port);
  await waitFor('the greeting', () => client.text() === '>');
  proxy.setWeather({ delayMs: 30, bytesPerSecondMax: 2_000_000 });
  const sent = Array.from({ length: 2_000 }, (_, index) => `${index};`.repeat(20));
  const beganAt = performance.now();
  for (const [index, text] of sent.entries()) {
    if (index === 1_000) proxy.setWeather({});
    client.socket.write(text);
    if (index % 100 === 0) await sleep(1);
  }
  const all = `>${sent.join('')}`;
  await waitFor('all of it', () => client.text().length === all.length);
  expect(client.text() === all).toBe(true);
  expect(performance.now() - beganAt).toBeGreaterThan(59);
});

/** Targets that tell when they are about to be connected to. */
function told(ports: readonly number[], tell: () => void): readonly number[] {
  return Object.assign([...ports], {
    [Symbol.iterator]: function* iterate() {
      tell();
      yield* ports.values();
    },
  });
}

test('what is connecting when the link is silenced is silent too', async () => {
  const port = await echo('a');
  let proxy: FaultProxy | undefined;
  const targets = told([port], () => proxy?.silence());
  await using started = await FaultProxy.start({ targets });
  proxy = started;
  const client = dial(started.port);
  await waitFor('the connection to be taken', () => started.connections === 1);
  client.socket.write('anybody?');
  await sleep(100);
  expect(client.text()).toBe('');
});

test('a client that goes while it is connected to leaves no connection behind', async () => {
  let held = 0;
  const server = createServer((socket) => {
    held += 1;
    socket.on('error', () => {});
    socket.once('close', () => (held -= 1));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  opened.push(server);
  const address = server.address();
  const port = typeof address === 'object' && address ? address.port : 0;
  const gone = await freePorts(20);
  const clients: Client[] = [];
  const targets = told([...gone, port], () => clients.at(-1)?.socket.resetAndDestroy());
  await using proxy = await FaultProxy.start({ targets });
  const connected = once(server, 'connection');
  clients.push(dial(proxy.port));
  await connected;
  await waitFor('the connection to end', () => held === 0, 5_000);
  expect(proxy.connections).toBe(0);
});
