import { once } from 'node:events';
import { createServer } from 'node:net';
import { expect, test } from 'vitest';
import { freePort, freePorts, isFreePort } from './free-ports.ts';

test('free ports differ, are free, and are none that an outgoing connection could take', async () => {
  const ports = await freePorts(20);
  expect(new Set(ports).size).toBe(20);
  for (const port of ports) expect(await isFreePort(port)).toBe(true);
  expect(Math.max(...ports)).toBeLessThan(32_768);
});

test('no port is given twice, though nobody listens on the first ones yet', async () => {
  const draws = await Promise.all(Array.from({ length: 200 }, () => freePorts(10)));
  expect(new Set(draws.flat()).size).toBe(2_000);
});

test('a port that is taken is not free', async () => {
  const port = await freePort();
  const server = createServer().listen(port, '127.0.0.1');
  await once(server, 'listening');
  expect(await isFreePort(port)).toBe(false);
  server.close();
  await once(server, 'close');
  expect(await isFreePort(port)).toBe(true);
});
