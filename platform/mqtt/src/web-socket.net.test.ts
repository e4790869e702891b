import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { connectAsync } from 'mqtt';
import { expect, test } from 'vitest';
import { createWebSocketStream, WebSocket, WebSocketServer } from 'ws';
import { connectPacket } from './conformance/wire.ts';
import { eventually, TestServer } from './test-server.ts';

/** A door for WebSockets before the server's own. */
async function openWeb(
  house: TestServer,
): Promise<{ readonly http: Server; readonly url: string }> {
  const http = createServer();
  const web = new WebSocketServer({ server: http, handleProtocols: () => 'mqtt' });
  web.on('connection', (socket, { socket: peer }) =>
    house.server.serve(createWebSocketStream(socket), peer),
  );
  http.listen(0, '127.0.0.1');
  await once(http, 'listening');
  const address = http.address();
  const port = typeof address === 'object' && address ? address.port : 0;
  return { http, url: `ws://127.0.0.1:${port}` };
}

test.each([4, 5] as const)(
  'a version %d client is served over WebSocket as over TCP',
  async (protocolVersion) => {
    await using house = await TestServer.open();
    const { http, url } = await openWeb(house);
    const client = await connectAsync(url, { clientId: 'c', protocolVersion, reconnectPeriod: 0 });
    const heard: string[] = [];
    client.on('message', (_topic, payload) => heard.push(payload.toString()));
    await client.subscribeAsync('down/#', { qos: 2 });
    const names = Array.from({ length: 200 }, (_, index) => `${index}`);
    await Promise.all(
      names.map((name, index) => client.publishAsync('up', name, { qos: index % 2 ? 2 : 1 })),
    );
    expect(house.payloads).toEqual(names);
    const delivered = names.map((name) =>
      house.session('c').deliver({ topic: 'down/x', payload: Buffer.from(name), qos: 2 }),
    );
    expect(new Set(await Promise.all(delivered))).toEqual(new Set(['acked']));
    expect(heard).toEqual(names);
    await client.endAsync();
    await eventually(() => house.server.connections === 0);
    expect(house.closings).toMatchObject([{ clean: true, reasonCode: 0 }]);
    http.close();
  },
);

test('a packet may come in several frames, and a frame may hold several packets', async () => {
  await using house = await TestServer.open();
  const { http, url } = await openWeb(house);
  const socket = new WebSocket(url, 'mqtt');
  await once(socket, 'open');
  const connect = connectPacket(5, { clientId: 'c' });
  const publish = Buffer.from([0x32, 7, 0, 1, 97, 0, 1, 0, 120]);
  const all = Buffer.concat([connect, publish, Buffer.from([0xc0, 0])]);
  const heard: Buffer[] = [];
  socket.on('message', (data: Buffer) => heard.push(data));
  for (const cut of [all.subarray(0, 1), all.subarray(1, connect.length + 3)]) socket.send(cut);
  socket.send(all.subarray(connect.length + 3));
  await eventually(() => Buffer.concat(heard).includes(Buffer.from([0xd0, 0])));
  expect(house.payloads).toEqual(['x']);
  expect(Buffer.concat(heard).includes(Buffer.from([0x40, 2, 0, 1]))).toBe(true);
  socket.terminate();
  await eventually(() => house.server.connections === 0);
  http.close();
});
