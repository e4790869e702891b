import { once } from 'node:events';
import { type Server, type Socket, createServer } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import { PlatformError } from '@domicile/core/errors.ts';
import { z } from 'zod';
import type { ListenAt } from '../drivers/driver.ts';

export interface SocketKeeperOptions {
  /** Sockets that listen already, by name: file descriptors that this process was started with. */
  readonly inherited: ReadonlyMap<string, number>;
  /** When the oldest reading came that is not on disk yet, by `performance.now()`; `Infinity`: all are. */
  readonly oldestPendingMs: () => number;
  /** A connection is left when nothing came for so long. */
  readonly quietMs?: number;
}

export interface KeptSocket {
  readonly name: string;
  /** Valid as long as the socket listens. */
  readonly fd: number;
}

interface Listener {
  readonly name: string;
  readonly server: Server;
  readonly answersAll: boolean;
  readonly fd: number;
}

/** A device's connection, as far as its bytes tell. */
interface Connection {
  readonly socket: Socket;
  readonly answersAll: boolean;
  bytesRead: number;
  bytesWritten: number;
  /** By `performance.now()`, when the last bytes came. */
  heardMs: number | undefined;
}

const quietMsDefault = 100;
const lookEveryMs = 20;

/**
 * Keeps the sockets that devices reach the agent at, so that the next process can go on with them: each is handed down as a
 * file descriptor, which keeps the queue of connections that nobody has accepted yet.
 */
export class SocketKeeper {
  readonly #options: SocketKeeperOptions;
  readonly #listeners: Listener[] = [];
  readonly #connections = new Set<Connection>();

  constructor(options: SocketKeeperOptions) {
    this.#options = options;
  }

  /** Goes on with an inherited socket if there is one at this port, or listens. Throws `CONFIG_INVALID` if it cannot. */
  async listen(name: string, at: ListenAt): Promise<Server> {
    const server = (await this.#inherited(name, at)) ?? (await listenFor(name, at));
    const answersAll = at.answersAll ?? false;
    server.on('connection', (socket) => this.#keep(socket, answersAll));
    this.#listeners.push({ name, server, answersAll, fd: fdOf(server) });
    return server;
  }

  async #inherited(name: string, { port }: ListenAt): Promise<Server | undefined> {
    const fd = this.#options.inherited.get(name);
    if (fd === undefined) return undefined;
    const server = await listenAt({ fd });
    const address = server.address();
    if (port === 0 || (typeof address === 'object' && address?.port === port)) return server;
    // The configuration has changed.
    server.close();
    return undefined;
  }

  #keep(socket: Socket, answersAll: boolean): void {
    const { bytesRead, bytesWritten } = socket;
    const connection = { socket, answersAll, bytesRead, bytesWritten, heardMs: undefined };
    this.#connections.add(connection);
    socket.once('close', () => this.#connections.delete(connection));
  }

  get kept(): readonly KeptSocket[] {
    return this.#listeners.map(({ name, fd }) => ({ name, fd }));
  }

  /** The sockets go on listening in the process that has inherited them. */
  stopAccepting(): void {
    for (const { server } of this.#listeners) server.close();
  }

  /**
   * Leaves every connection in its quiet moment: after a message of the device, when all that it said is on disk and, where that
   * is the way, answered. We say no more then, and read until the device has said all. Silent ones are left after half of
   * `timeoutMs`. Resolves to how many were still there at its end, and had to be cut.
   */
  async leave(timeoutMs: number): Promise<number> {
    const fromMs = performance.now();
    while (this.#connections.size > 0) {
      const nowMs = performance.now();
      if (nowMs - fromMs > timeoutMs) break;
      const isLate = nowMs - fromMs > timeoutMs / 2;
      for (const one of this.#connections)
        if (!one.socket.writableEnded && (this.#isQuiet(one, nowMs) || isLate)) one.socket.end();
      await wait(lookEveryMs);
    }
    const cut = this.#connections.size;
    for (const { socket } of this.#connections) socket.destroy();
    return cut;
  }

  #isQuiet(one: Connection, nowMs: number): boolean {
    const { bytesRead, bytesWritten } = one.socket;
    if (bytesRead !== one.bytesRead) {
      one.bytesRead = bytesRead;
      one.bytesWritten = bytesWritten;
      one.heardMs = nowMs;
      return false;
    }
    if (one.heardMs === undefined) return false;
    const { quietMs = quietMsDefault, oldestPendingMs } = this.#options;
    if (nowMs - one.heardMs < quietMs || oldestPendingMs() <= one.heardMs) return false;
    return !one.answersAll || bytesWritten > one.bytesWritten;
  }
}

async function listenFor(name: string, at: ListenAt): Promise<Server> {
  try {
    return await listenAt(at);
  } catch (error) {
    const why = String(error).includes('EADDRINUSE') ? 'the port is taken' : String(error);
    throw new PlatformError(
      'CONFIG_INVALID',
      `Cannot listen for drivers.${name} at ${at.host}:${at.port}: ${why}`,
      { cause: error },
    );
  }
}

async function listenAt(at: { host: string; port: number } | { fd: number }): Promise<Server> {
  const server = createServer({ noDelay: true });
  server.listen('fd' in at ? { fd: at.fd } : { host: at.host, port: at.port });
  await once(server, 'listening');
  return server;
}

const handleSchema = z.object({ _handle: z.object({ fd: z.number().int().min(0) }) });

/** Node has no word for it but the handle's; held by a test. */
function fdOf(server: Server): number {
  return handleSchema.parse(server)._handle.fd;
}
