import { once } from 'node:events';
import type { Socket } from 'node:net';
import { expect, test } from 'vitest';
import { listenHere, portOf } from '../listen.ts';
import { DeviceSilent } from '../poll-loop.ts';
import { ModbusChannel } from './modbus-channel.ts';

test('a channel that ends while it connects leaves no connection behind', async () => {
  await using server = await listenHere({ host: '127.0.0.1', port: 0 });
  const connected: Promise<Socket[]> = once(server, 'connection');
  const options = { host: '127.0.0.1', port: portOf(server), timeoutMs: 600_000, units: [1] };
  const channel = new ModbusChannel(options);
  const asked = channel.read(1, { table: 'holding', start: 0, count: 1, metrics: [] });
  channel.end();
  await expect(asked).rejects.toBeInstanceOf(DeviceSilent);
  const [socket] = await connected;
  socket?.resume();
  if (socket && !socket.closed) await once(socket, 'close');
  expect(socket?.closed).toBe(true);
});
