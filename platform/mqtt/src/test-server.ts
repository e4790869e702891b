import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import { connectAsync, type IClientOptions, type MqttClient } from 'mqtt';
import { generate, type Packet, parser as createParser } from 'mqtt-packet';
import type { MqttLimits } from './limits.ts';
import type { Closing, InboundMessage, MqttOwner, Session } from './owner.ts';
import { MqttServer, type MqttServerOptions } from './server.ts';

/** A server on a free port, whose owner takes everything unless told otherwise. For tests. */
export class TestServer implements AsyncDisposable {
  readonly server: MqttServer<string, Socket>;
  readonly messages: InboundMessage[] = [];
  readonly wills: InboundMessage[] = [];
  readonly closings: Closing[] = [];
  readonly refusals: number[] = [];
  readonly #listener: Server;

  static async open(
    owner: Partial<MqttOwner<string, Socket>> = {},
    limits: Partial<MqttLimits> = {},
    more: Omit<MqttServerOptions, 'limits'> = {},
  ): Promise<TestServer> {
    const opened = new TestServer(owner, limits, more);
    await once(opened.#listener, 'listening');
    return opened;
  }

  private constructor(
    owner: Partial<MqttOwner<string, Socket>>,
    limits: Partial<MqttLimits>,
    more: Omit<MqttServerOptions, 'limits'>,
  ) {
    this.server = new MqttServer<string, Socket>(
      {
        authenticate: async ({ clientId }) => ({
          admitted: true,
          key: clientId,
          identity: clientId,
        }),
        publish: async (_session, message) => {
          this.messages.push(message);
          return 0;
        },
        subscribe: (_session, { qos }) => qos,
        will: (_session, message) => this.wills.push(message),
        closed: (_session, why) => this.closings.push(why),
        refused: (code) => this.refusals.push(code),
        ...owner,
      },
      { limits, ...more },
    );
    this.#listener = createServer({ noDelay: true }, (socket) => this.server.serve(socket, socket));
    this.#listener.listen(0, '127.0.0.1');
  }

  get port(): number {
    const address = this.#listener.address();
    if (address === null || typeof address === 'string') throw new Error('No port');
    return address.port;
  }

  get payloads(): string[] {
    return this.messages.map(({ payload }) => payload.toString());
  }

  client(options: IClientOptions = {}): Promise<MqttClient> {
    return connectAsync(`mqtt://127.0.0.1:${this.port}`, { reconnectPeriod: 0, ...options });
  }

  raw(): Promise<RawClient> {
    return RawClient.open(this.port);
  }

  session(key: string): Session<string> {
    const session = this.server.session(key);
    if (!session) throw new Error(`No session ${key}`);
    return session;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.server[Symbol.dispose]();
    this.#listener.close();
    await once(this.#listener, 'close');
  }
}

/** Says exactly the bytes that it is told to, and keeps every packet that it hears. */
export class RawClient implements Disposable {
  readonly socket: Socket;
  readonly heard: Packet[] = [];
  readonly closed: Promise<unknown>;
  version: 4 | 5 = 5;

  static async open(port: number): Promise<RawClient> {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true });
    await once(socket, 'connect');
    return new RawClient(socket);
  }

  private constructor(socket: Socket) {
    this.socket = socket;
    this.closed = new Promise((resolve) => {
      socket.on('close', resolve);
    });
    socket.on('error', () => undefined);
  }

  /** CONNECT, and what came back. */
  async connect(
    options: Partial<Extract<Packet, { cmd: 'connect' }>> = {},
  ): Promise<Packet | undefined> {
    this.version = options.protocolVersion === 4 ? 4 : 5;
    const parser = createParser({ protocolVersion: this.version });
    parser.on('packet', (packet) => this.heard.push(packet));
    parser.on('error', () => this.socket.destroy());
    this.socket.on('data', (bytes) => parser.parse(bytes));
    this.send({
      cmd: 'connect',
      clientId: 'raw',
      protocolVersion: this.version,
      clean: true,
      ...options,
    });
    return this.hears(() => this.heard[0]);
  }

  send(packet: Packet): void {
    this.socket.write(generate(packet, { protocolVersion: this.version }));
  }

  publish(messageId: number, more: Partial<Extract<Packet, { cmd: 'publish' }>> = {}): void {
    this.send({
      cmd: 'publish',
      topic: 'a',
      payload: `${messageId}`,
      qos: 1,
      dup: false,
      retain: false,
      messageId,
      ...more,
    });
  }

  /** Waits until the condition gives something, or the connection is closed. */
  async hears<Value>(condition: () => Value | undefined): Promise<Value | undefined> {
    return eventually(condition, () => this.socket.destroyed);
  }

  of<Cmd extends Packet['cmd']>(cmd: Cmd): Extract<Packet, { cmd: Cmd }>[] {
    return this.heard.filter(
      (packet): packet is Extract<Packet, { cmd: Cmd }> => packet.cmd === cmd,
    );
  }

  /** The reason code of the DISCONNECT that ended the connection. */
  async disconnected(): Promise<number | undefined> {
    await this.closed;
    return this.of('disconnect')[0]?.reasonCode;
  }

  [Symbol.dispose](): void {
    this.socket.destroy();
  }
}

const patienceMs = 20_000;

export async function eventually<Value>(
  condition: () => Value | undefined,
  stop: () => boolean = () => false,
): Promise<Value | undefined> {
  const until = performance.now() + patienceMs;
  for (;;) {
    const found = condition();
    if (found !== undefined && found !== false) return found;
    if (stop()) return undefined;
    if (performance.now() > until) throw new Error('Waited in vain');
    await wait(2);
  }
}
