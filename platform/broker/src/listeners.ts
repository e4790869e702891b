import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import type { Duplex } from 'node:stream';
import { createServer as createTlsServer, type TLSSocket } from 'node:tls';
import { assert } from '@domicile/core/invariants.ts';
import type { Peer } from './authentication.ts';

export interface ListenersOptions {
  readonly host: string;
  readonly mqttPort: number | undefined;
  readonly mqttsPort: number;
  readonly tls:
    | { readonly certFile: string; readonly keyFile: string; readonly caFile: string }
    | undefined;
  readonly serve: (socket: Duplex, peer: Peer) => void;
  /** A certificate that the cell's authority did not issue. */
  readonly refused: () => void;
}

export interface Listeners {
  readonly mqttPort: number | undefined;
  readonly mqttsPort: number | undefined;
  /** Takes no new connections; what is open stays. */
  close(): void;
}

const handshakeTimeoutMs = 10_000;
/** Connections that wait to be accepted: a whole cell's gateways come back at once. */
const backlog = 1024;

export async function listen(options: ListenersOptions): Promise<Listeners> {
  const { host, mqttPort, mqttsPort, tls, serve } = options;
  const servers: Server[] = [];
  const started = async (server: Server, port: number): Promise<number> => {
    servers.push(server);
    server.listen({ host, port, backlog });
    await once(server, 'listening');
    const address = server.address();
    assert(address !== null && typeof address === 'object', 'a listening server has an address');
    return address.port;
  };
  const plain =
    mqttPort === undefined
      ? undefined
      : await started(
          createServer({ noDelay: true }, (socket) =>
            serve(socket, { certificateUris: undefined }),
          ),
          mqttPort,
        );
  const secured = tls && (await started(await tlsServer(options, tls), mqttsPort));
  return {
    mqttPort: plain,
    mqttsPort: secured,
    close() {
      for (const server of servers) server.close();
    },
  };
}

async function tlsServer(
  { serve, refused }: ListenersOptions,
  { certFile, keyFile, caFile }: NonNullable<ListenersOptions['tls']>,
): Promise<Server> {
  const [cert, key, ca] = await Promise.all(
    [certFile, keyFile, caFile].map((file) => readFile(file)),
  );
  const server = createTlsServer(
    {
      cert,
      key,
      ca,
      minVersion: 'TLSv1.2',
      requestCert: true,
      // Who has no certificate may come with a password; who has a wrong one may not come at all.
      rejectUnauthorized: false,
      ALPNProtocols: ['mqtt'],
      handshakeTimeout: handshakeTimeoutMs,
      noDelay: true,
    },
    (socket) => {
      const uris = certificateUrisOf(socket);
      if (uris !== undefined && !socket.authorized) {
        refused();
        socket.on('error', () => undefined);
        socket.destroy();
      } else serve(socket, { certificateUris: uris });
    },
  );
  server.on('tlsClientError', () => undefined);
  return server;
}

/** Undefined: no certificate was shown. */
function certificateUrisOf(socket: TLSSocket): readonly string[] | undefined {
  const certificate = socket.getPeerX509Certificate();
  if (!certificate) return undefined;
  // Node quotes a name that holds a comma, so that none can be smuggled in by another.
  const names = certificate.subjectAltName?.split(', ') ?? [];
  return names.filter((name) => name.startsWith('URI:')).map((name) => name.slice(4));
}
