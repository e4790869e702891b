import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect as connectTcp, type Socket } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import { connect as connectTls } from 'node:tls';
import { waitFor } from '@domicile/devkit/wait-for.ts';
import { expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { TestDoor } from './admission/test-door.ts';

test.each(['tcp', 'tls', 'ws', 'wss'] as const)(
  'clients come by %s, with a password, and packets may be larger than a frame',
  async (transport) => {
    await using door = await TestDoor.open();
    await door.declare('de-a');
    const client = await door.client(transport, door.known('de-a'));
    const payloads = ['small', 'x'.repeat(200_000), 'last'];
    await Promise.all(payloads.map((payload) => client.publishAsync('t', payload, { qos: 1 })));
    await client.endAsync();
    expect(door.messages.map(({ payload }) => payload.toString())).toEqual(payloads);
    await waitFor('the sockets to close', () => door.connections === 0);
    expect(door.listeners.bytesReceived).toBeGreaterThan(200_000);
    expect(door.listeners.bytesSent).toBeGreaterThan(10);
    expect(door.closed).toEqual([0]);
  },
);

test.each(['tls', 'wss'] as const)('a certificate is who one is, over %s', async (transport) => {
  await using door = await TestDoor.open();
  await door.declare('de-a', { passwordHash: null });
  const { certificate: cert, key } = await door.issue('de-a');
  const client = await door.client(transport, { cert, key });
  await client.publishAsync('t', 'x', { qos: 1 });
  await client.endAsync();
  const foreign = await door.issue('us-a');
  await expect(
    door.client(transport, { cert: foreign.certificate, key: foreign.key }),
  ).rejects.toMatchObject({ code: 0x87 });
});

/** Opens a WebSocket; gives the code of its close, or the status that it was refused with. */
function refusalOf(webSocket: WebSocket): Promise<number | undefined> {
  return new Promise((resolve) => {
    webSocket.on('unexpected-response', (_request, { statusCode }) => resolve(statusCode));
    webSocket.on('close', (code) => resolve(code));
    webSocket.on('error', () => undefined);
  });
}

function closeOf(socket: Socket): Promise<unknown> {
  socket.on('error', () => undefined);
  return new Promise((resolve) => {
    socket.on('close', resolve);
  });
}

test('a socket that never says what it wants of WebSocket is closed', async () => {
  await using door = await TestDoor.open({ openingTimeoutMs: 300 });
  const silent = connectTcp({ host: '127.0.0.1', port: door.listeners.wsPort ?? 0 });
  await closeOf(silent);
  expect(await door.metrics()).toContain(
    'mqtt_sockets_refused_total{transport="ws",cause="no-upgrade"} 1',
  );
});

test('WebSocket is for MQTT alone: other sub-protocols, plain HTTP and text frames are refused', async () => {
  await using door = await TestDoor.open();
  const { wsPort } = door.listeners;
  const url = `ws://127.0.0.1:${wsPort}/mqtt`;
  expect(await refusalOf(new WebSocket(url))).toBe(400);
  expect(await refusalOf(new WebSocket(url, 'soap'))).toBe(400);
  expect((await fetch(`http://127.0.0.1:${wsPort}/`)).status).toBe(426);
  const chatty = new WebSocket(url, ['soap', 'mqtt']);
  const refusal = refusalOf(chatty);
  await once(chatty, 'open');
  expect(chatty.protocol).toBe('mqtt');
  chatty.send('text');
  expect(await refusal).toBe(1003);
  const garbage = connectTcp({ host: '127.0.0.1', port: wsPort ?? 0 });
  garbage.write('\u0010\u0000\u0000MQTT\r\n\r\n');
  await closeOf(garbage);
  const metrics = await door.metrics();
  for (const cause of ['no-mqtt-sub-protocol', 'not-http']) {
    expect(metrics).toContain(`mqtt_sockets_refused_total{transport="ws",cause="${cause}"}`);
  }
});

test('no TLS session is taken up again: whoever comes shows a certificate anew', async () => {
  await using door = await TestDoor.open();
  const options = {
    host: '127.0.0.1',
    port: door.listeners.mqttsPort ?? 0,
    ca: door.authority.certificate,
  };
  for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
    const first = connectTls({ ...options, maxVersion });
    let session: Buffer | undefined;
    first.on('session', (given) => (session = given));
    await once(first, 'secureConnect');
    await wait(50);
    first.destroy();
    const second = connectTls({ ...options, maxVersion, ...(session && { session }) });
    await once(second, 'secureConnect');
    expect(second.isSessionReused()).toBe(false);
    second.destroy();
  }
});

test('old versions of TLS are refused', async () => {
  await using door = await TestDoor.open();
  const socket = connectTls({
    host: '127.0.0.1',
    port: door.listeners.mqttsPort ?? 0,
    ca: door.authority.certificate,
    minVersion: 'TLSv1',
    maxVersion: 'TLSv1.1',
    ciphers: 'DEFAULT@SECLEVEL=0',
  });
  const [error] = await once(socket, 'error');
  expect(String(error)).toMatch(/version|alert/i);
});

async function storm(door: TestDoor, count: number): Promise<Socket[]> {
  const sockets: Socket[] = [];
  for (let each = 0; each < count; each += 1) {
    const socket = connectTcp({ host: '127.0.0.1', port: door.listeners.mqttsPort ?? 0 });
    socket.on('error', () => undefined);
    sockets.push(socket);
    if (each % 100 === 0) await wait(1);
  }
  return sockets;
}

test('two thousand sockets at the TLS port hold up neither who is in nor who comes from elsewhere', async () => {
  await using door = await TestDoor.open({ config: { handshakesPerSecondMax: 50 } });
  await door.declare('de-a');
  const good = await door.client('tls', door.known('de-a', { clientId: 'good' }));
  const sockets = await storm(door, 2000);
  await waitFor('the line', () => door.listeners.handshakesWaiting > 1500);
  const from = { localAddress: '127.0.0.2' };
  const fromMs = performance.now();
  const elsewhere = await door.client('tls', door.known('de-a', { clientId: 'new', ...from }));
  const cameAfterMs = performance.now() - fromMs;
  const acksMs: number[] = [];
  for (let each = 0; each < 100; each += 1) {
    const sentMs = performance.now();
    await good.publishAsync('t', 'x', { qos: 1 });
    acksMs.push(performance.now() - sentMs);
  }
  // Behind all of them it would be half a minute.
  expect(cameAfterMs).toBeLessThan(5000);
  expect(Math.max(...acksMs)).toBeLessThan(1000);
  for (const socket of sockets) socket.destroy();
  await waitFor('the line to end', () => door.listeners.handshakesWaiting === 0);
  await Promise.all([good.endAsync(), elsewhere.endAsync()]);
  expect(door.messages).toHaveLength(100);
});

test('a line that is full turns away, and is counted', async () => {
  await using door = await TestDoor.open({
    config: { handshakesPerSecondMax: 1, addressHandshakesWaitingMax: 5 },
  });
  const sockets = await storm(door, 20);
  await waitFor('the refusals', () => sockets.filter(({ destroyed }) => destroyed).length >= 13);
  expect(await door.metrics()).toMatch(/cause="address-line-full"} 1[345]\b/);
  for (const socket of sockets) socket.destroy();
});

test('a handshake that is not ended in time is', async () => {
  await using door = await TestDoor.open({ openingTimeoutMs: 300 });
  const [socket] = await storm(door, 1);
  socket?.resume();
  await waitFor('the end', () => socket?.destroyed === true);
  expect(await door.metrics()).toContain(
    'mqtt_sockets_refused_total{transport="tls",cause="tls"} 1',
  );
});

/** What the kernel waits for on the server's side of each open connection to a port. */
function timersAt(port: number): (string | undefined)[] {
  const hex = port.toString(16).toUpperCase().padStart(4, '0');
  return readFileSync('/proc/net/tcp', 'utf8')
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .filter(([, local, , state]) => local?.endsWith(`:${hex}`) && state === '01')
    .map(([, , , , , timer]) => timer?.slice(0, 2));
}

test('the kernel asks peers that say nothing whether they are there', async () => {
  await using door = await TestDoor.open();
  for (const port of [door.listeners.mqttPort, door.listeners.mqttsPort]) {
    const socket = connectTcp({ host: '127.0.0.1', port: port ?? 0 });
    await once(socket, 'connect');
    // The kind of timer that runs: 2 is keep-alive.
    await waitFor('the timer', () => timersAt(port ?? 0).join() === '02');
    expect(timersAt(port ?? 0)).toEqual(['02']);
    socket.destroy();
  }
});
