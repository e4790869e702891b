import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { assert } from '@domicile/core/invariants.ts';
import { HandshakeGate } from './admission/handshake-gate.ts';
import type { Peer, Transport } from './admission/identity.ts';
import type { TlsMaterial } from './admission/tls-material.ts';
import { createTlsSide } from './admission/tls-side.ts';
import { createWebSocketSide } from './admission/web-socket-side.ts';
import type { BrokerEvents } from './events.ts';
import type { HandshakeLineOptions } from './model/handshake-line.ts';

export interface ListenersOptions {
  readonly host: string;
  /** `undefined`: not served. 0 takes a free one. */
  readonly mqttPort: number | undefined;
  readonly mqttsPort: number | undefined;
  readonly wsPort: number | undefined;
  readonly wssPort: number | undefined;
  /** Without it the ports with TLS are not served. */
  readonly tls: TlsMaterial | undefined;
  readonly handshakes: HandshakeLineOptions;
  readonly serve: (socket: Duplex, peer: Peer) => void;
  readonly events: ListenerEvents;
  /** What a socket may take for its TLS handshake, and for its upgrade to WebSocket. */
  readonly openingTimeoutMs?: number;
}

export type ListenerEvents = Pick<BrokerEvents, 'socketRefused' | 'handshakeDone'>;

export type Ports = Readonly<Record<PortName, number | undefined>>;
type PortName = 'mqttPort' | 'mqttsPort' | 'wsPort' | 'wssPort';

export interface Listeners extends Ports {
  /** Of all sockets since the start, TLS and WebSocket frames included. */
  readonly bytesReceived: number;
  readonly bytesSent: number;
  readonly handshakesWaiting: number;
  /** Takes no new connections; what is open stays. */
  close(): void;
}

/** Takes a socket that was just accepted. */
export type Accept = (socket: Socket) => void;

/** Connections that wait to be accepted: a whole cell's gateways come back at once. */
const backlog = 1024;
const usualOpeningTimeoutMs = 10_000;
/** Finds peers that are gone without a word, of clients without a keep-alive of their own. */
const tcpKeepAliveMs = 60_000;

/** Opens the ports. What comes in by any of them, as plain bytes, goes to `serve`. */
export async function listen(options: ListenersOptions): Promise<Listeners> {
  const { host, tls, serve, events, openingTimeoutMs = usualOpeningTimeoutMs } = options;
  const traffic = new Traffic();
  const gate = new HandshakeGate(options.handshakes, events);
  const servers: Server[] = [];
  const open = async (port: number | undefined, accept: Accept, waits = false) => {
    if (port === undefined) return undefined;
    const server = createServer(
      {
        noDelay: true,
        keepAlive: true,
        keepAliveInitialDelay: tcpKeepAliveMs,
        // Nothing is read from a socket before its turn: TLS takes the bytes from the start.
        pauseOnConnect: waits,
      },
      (socket) => {
        traffic.count(socket);
        accept(socket);
      },
    );
    servers.push(server);
    server.listen({ host, port, backlog });
    await once(server, 'listening');
    const address = server.address();
    assert(address !== null && typeof address === 'object', 'a listening server has an address');
    return address.port;
  };
  const webSocket = createWebSocketSide({ events, openingTimeoutMs, serve });
  const mqttPort = await open(options.mqttPort, (socket) => serve(socket, peerOf('tcp', socket)));
  const wsPort = await open(options.wsPort, (socket) => webSocket(socket, peerOf('ws', socket)));
  const secured = async (port: number | undefined, transport: 'tls' | 'wss') => {
    if (!tls) return undefined;
    const side = createTlsSide({
      tls,
      transport,
      events,
      openingTimeoutMs,
      serve: transport === 'tls' ? serve : webSocket,
    });
    return open(port, (socket) => gate.join(socket, transport, side), true);
  };
  return {
    mqttPort,
    wsPort,
    mqttsPort: await secured(options.mqttsPort, 'tls'),
    wssPort: await secured(options.wssPort, 'wss'),
    get bytesReceived() {
      return traffic.bytes('bytesRead');
    },
    get bytesSent() {
      return traffic.bytes('bytesWritten');
    },
    get handshakesWaiting() {
      return gate.waiting;
    },
    close() {
      for (const server of servers) server.close();
    },
  };
}

function peerOf(transport: Transport, { remoteAddress = 'unknown' }: Socket): Peer {
  return { transport, address: remoteAddress };
}

/** Counts what sockets carry without touching what they carry. */
class Traffic {
  readonly #open = new Set<Socket>();
  readonly #closed = { bytesRead: 0, bytesWritten: 0 };

  count(socket: Socket): void {
    this.#open.add(socket);
    socket.on('error', () => undefined);
    socket.once('close', () => {
      this.#open.delete(socket);
      this.#closed.bytesRead += socket.bytesRead;
      this.#closed.bytesWritten += socket.bytesWritten;
    });
  }

  bytes(of: 'bytesRead' | 'bytesWritten'): number {
    let bytes = this.#closed[of];
    for (const socket of this.#open) bytes += socket[of];
    return bytes;
  }
}
