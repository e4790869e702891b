import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:net';

/**
 * Below what Linux gives to outgoing connections (32768 and up) and to whoever listens on port 0: a port that is free now stays so
 * until the server that it is for takes it, also when that server is restarted.
 */
const first = 20_000;
const end = 32_000;
const triesMax = 200;
/** Half of them: a process that takes more gets those again that it was given first. */
const rememberedMax = 6_000;

/** Given to this process: whoever asked may not listen yet. */
const given = new Set<number>();

/** Ports of loopback that nobody listens on, all different, and other ones at each call. Throws if there are none. */
export async function freePorts(count: number): Promise<number[]> {
  const found: number[] = [];
  for (let tries = 0; found.length < count; tries += 1) {
    if (tries === triesMax + count) throw new Error('Cannot find a free port of loopback');
    const port = randomInt(first, end);
    if (given.has(port)) continue;
    remember(port);
    if (await isFreePort(port)) found.push(port);
  }
  return found;
}

function remember(port: number): void {
  given.add(port);
  for (const oldest of given) {
    if (given.size <= rememberedMax) break;
    given.delete(oldest);
  }
}

export async function freePort(): Promise<number> {
  const [port = 0] = await freePorts(1);
  return port;
}

/** Whether nobody listens on it, on any address of this machine. */
export async function isFreePort(port: number): Promise<boolean> {
  const server = createServer();
  try {
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
    server.close();
    await once(server, 'close');
    return true;
  } catch {
    return false;
  }
}
