import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, realpath } from 'node:fs/promises';
import { createServer } from 'node:net';
import { dirname } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { PlatformError } from '@domicile/core/errors.ts';
import { syncDirectory } from './files.ts';

const retryMs = 100;

/**
 * Makes the directory and holds it: two agents on one store would write over each other. The hold ends with the process,
 * however that ends (an abstract socket of Linux; elsewhere nothing is held). Waits for another holder to go.
 * Throws `CONFIG_INVALID` if it stays.
 */
export async function holdDirectory(
  directory: string,
  timeoutMs: number,
): Promise<AsyncDisposable> {
  await mkdir(directory, { recursive: true });
  // What is acked must not vanish with the name of its directory.
  await syncDirectory(dirname(directory));
  const until = performance.now() + timeoutMs;
  for (;;) {
    const holder = await tryHold(directory);
    if (holder) return holder;
    if (performance.now() > until)
      throw new PlatformError(
        'CONFIG_INVALID',
        'Cannot start: another agent has the data directory; stop it, or give this one another',
      );
    await wait(retryMs);
  }
}

/** Holds a directory that is there; undefined if another has it. */
export async function tryHold(directory: string): Promise<AsyncDisposable | undefined> {
  if (process.platform !== 'linux') return { [Symbol.asyncDispose]: async () => undefined };
  const digest = createHash('sha256')
    .update(await realpath(directory))
    .digest('hex');
  return bind(`\0domicile-gateway-${digest}`);
}

async function bind(name: string): Promise<AsyncDisposable | undefined> {
  const server = createServer((socket) => socket.destroy());
  try {
    server.listen(name);
    await once(server, 'listening');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EADDRINUSE') return undefined;
    throw error;
  }
  server.unref();
  return {
    async [Symbol.asyncDispose]() {
      if (!server.listening) return;
      server.close();
      await once(server, 'close');
    },
  };
}
