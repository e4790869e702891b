import { once } from 'node:events';
import { type Server, createServer } from 'node:net';
import { must } from '@domicile/core/invariants.ts';
import type { ListenAt } from './driver.ts';

/** A socket of this process alone. Throws what the system throws, for example `EADDRINUSE`. */
export async function listenHere({ host, port }: ListenAt): Promise<Server> {
  const server = createServer({ noDelay: true });
  server.listen(port, host);
  await once(server, 'listening');
  return server;
}

export function portOf(server: Server): number {
  const address = server.address();
  return must(typeof address === 'object' ? address?.port : undefined, 'A listener has a port');
}
