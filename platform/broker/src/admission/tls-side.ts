import { constants } from 'node:crypto';
import type { Socket } from 'node:net';
import { createServer, type TLSSocket } from 'node:tls';
import type { Accept, ListenerEvents } from '../listeners.ts';
import type { Peer, PeerCertificate } from './identity.ts';
import type { TlsMaterial } from './tls-material.ts';

export interface TlsSideOptions {
  readonly tls: TlsMaterial;
  readonly transport: 'tls' | 'wss';
  readonly events: ListenerEvents;
  /** Of a handshake, from its turn on. */
  readonly openingTimeoutMs: number;
  /** Takes the plain side. */
  readonly serve: (socket: TLSSocket, peer: Peer) => void;
}

const protocols = { tls: 'mqtt', wss: 'http/1.1' } as const;

/** Speaks TLS on sockets that were accepted elsewhere, always with the newest certificate of its material. */
export function createTlsSide(options: TlsSideOptions): Accept {
  const { tls, transport, events, openingTimeoutMs, serve } = options;
  const context = () => ({
    ...tls.server,
    minVersion: 'TLSv1.2' as const,
    // A session that is taken up again shows no certificate: whoever comes is judged anew.
    secureOptions: constants.SSL_OP_NO_TICKET,
  });
  const started = new Map<string, number>();
  const server = createServer({
    ...context(),
    requestCert: true,
    // Whom the authority does not stand for is told so in MQTT.
    rejectUnauthorized: false,
    ALPNProtocols: [protocols[transport]],
    handshakeTimeout: openingTimeoutMs,
  });
  tls.changed(() => server.setSecureContext(context()));
  server.on('secureConnection', (socket) => {
    const name = nameOf(socket);
    const fromMs = started.get(name);
    started.delete(name);
    if (fromMs !== undefined) events.handshakeDone((performance.now() - fromMs) / 1000);
    const certificate = certificateOf(socket);
    const address = socket.remoteAddress ?? 'unknown';
    serve(socket, { transport, address, ...(certificate && { certificate }) });
  });
  server.on('tlsClientError', (_error, socket) => {
    events.socketRefused(transport, 'tls');
    socket.destroy();
  });
  return (socket: Socket) => {
    const name = nameOf(socket);
    started.set(name, performance.now());
    socket.once('close', () => started.delete(name));
    server.emit('connection', socket);
  };
}

/** Node's own names of both sides of the same connection. */
const nameOf = ({ remoteAddress, remotePort, localPort }: Socket): string =>
  `${remoteAddress} ${remotePort} ${localPort}`;

function certificateOf(socket: TLSSocket): PeerCertificate | undefined {
  const certificate = socket.getPeerX509Certificate();
  if (!certificate) return undefined;
  const { serialNumber: serial, issuer, validTo, subjectAltName } = certificate;
  // Node quotes a name that holds a comma, so that none can be smuggled in by another.
  const names = subjectAltName?.split(', ') ?? [];
  const uris = names.filter((name) => name.startsWith('URI:')).map((name) => name.slice(4));
  const expiresAtMs = Date.parse(validTo);
  // It is a text, whatever the types say.
  const fault = socket.authorized ? undefined : `${socket.authorizationError}`;
  return { serial, issuer, expiresAtMs, uris, ...(fault !== undefined && { fault }) };
}
