import { createServer, type IncomingMessage } from 'node:http';
import { Duplex } from 'node:stream';
import { type RawData, type WebSocket, WebSocketServer } from 'ws';
import type { BrokerEvents } from '../events.ts';
import type { Peer } from './identity.ts';

export interface WebSocketSideOptions {
  readonly events: Pick<BrokerEvents, 'socketRefused'>;
  /** From the connection to the end of the upgrade. */
  readonly openingTimeoutMs: number;
  /** Takes what is inside the frames. */
  readonly serve: (socket: Duplex, peer: Peer) => void;
}

const headerBytesMax = 16_384;
/** Of one frame or of its fragments together; packets may lie across frames as they like. */
const frameBytesMax = 1_048_576;
/** MQTT 5, section 6: the name of the sub-protocol. */
const subProtocol = 'mqtt';

/** Speaks HTTP and WebSocket on sockets that were accepted elsewhere, on any path. */
export function createWebSocketSide({ events, openingTimeoutMs, serve }: WebSocketSideOptions) {
  const peers = new WeakMap<object, Peer>();
  const opening = new WeakMap<object, NodeJS.Timeout>();
  const webSockets = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    perMessageDeflate: false,
    maxPayload: frameBytesMax,
    handleProtocols: () => subProtocol,
  });
  const http = createServer({ maxHeaderSize: headerBytesMax }, (_request, response) => {
    response.writeHead(426, { Upgrade: 'websocket', Connection: 'close' });
    response.end('This port speaks MQTT over WebSocket\n');
  });
  const refuse = (socket: Duplex, peer: Peer, cause: string) => {
    events.socketRefused(peer.transport, cause);
    socket.destroy();
  };
  http.on('upgrade', (request, socket, head) => {
    const peer = peers.get(request.socket);
    clearTimeout(opening.get(request.socket));
    if (!peer) socket.destroy();
    else if (!offersMqtt(request)) {
      events.socketRefused(peer.transport, 'no-mqtt-sub-protocol');
      socket.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n');
    } else {
      webSockets.handleUpgrade(request, socket, head, (webSocket) =>
        serve(new WebSocketBytes(webSocket), peer),
      );
    }
  });
  http.on('clientError', (_error, socket) => {
    const peer = peers.get(socket);
    if (peer) refuse(socket, peer, 'not-http');
    else socket.destroy();
  });
  return (socket: Duplex, peer: Peer): void => {
    peers.set(socket, peer);
    const timer = setTimeout(() => refuse(socket, peer, 'no-upgrade'), openingTimeoutMs).unref();
    opening.set(socket, timer);
    socket.once('close', () => clearTimeout(timer));
    socket.on('error', () => undefined);
    http.emit('connection', socket);
  };
}

function offersMqtt({ headers }: IncomingMessage): boolean {
  const offered = headers['sec-websocket-protocol'] ?? '';
  return offered.split(',').some((name) => name.trim() === subProtocol);
}

/** WebSocket, RFC 6455, section 7.4.1: "unsupported data". */
const unsupportedData = 1003;

/** The bytes in binary frames, as one stream both ways. A text frame ends it (MQTT 5, section 6). */
class WebSocketBytes extends Duplex {
  readonly #webSocket: WebSocket;

  constructor(webSocket: WebSocket) {
    super();
    this.#webSocket = webSocket;
    webSocket.on('message', (data, isBinary) => this.#take(data, isBinary));
    // What is wrong ends in 'close'.
    webSocket.on('error', () => undefined);
    webSocket.on('close', () => {
      this.push(null);
      this.destroy();
    });
  }

  override _read(): void {
    this.#webSocket.resume();
  }

  override _write(chunk: Buffer, _encoding: string, done: (error?: Error | null) => void): void {
    this.#webSocket.send(chunk, { binary: true }, (error) => done(error));
  }

  override _final(done: () => void): void {
    this.#webSocket.close();
    done();
  }

  override _destroy(_error: Error | null, done: () => void): void {
    this.#webSocket.terminate();
    done();
  }

  #take(data: RawData, isBinary: boolean): void {
    if (!isBinary || !Buffer.isBuffer(data)) this.#webSocket.close(unsupportedData);
    else if (!this.push(data)) this.#webSocket.pause();
  }
}
