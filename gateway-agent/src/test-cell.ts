import { type Server, type Socket, createServer } from 'node:net';
import { type TlsOptions, createServer as createTlsServer } from 'node:tls';
import { must } from '@domicile/core/invariants.ts';
import { freePort } from '@domicile/devkit/free-ports.ts';
import type { ConnectRequest, InboundMessage, MqttOwner, Session } from '@domicile/mqtt/owner.ts';
import { MqttServer } from '@domicile/mqtt/server.ts';
import { z } from 'zod';

export interface ReceivedReading {
  readonly device: string;
  readonly lane: string;
  readonly boot: string;
  readonly seq: number;
  readonly at: string;
  readonly values: Readonly<Record<string, unknown>>;
}

const readingSchema = z.object({
  boot: z.string().default(''),
  seq: z.number().default(-1),
  at: z.string().default(''),
  values: z.record(z.string(), z.unknown()),
});

/** Stands for a cell's broker in tests: keeps what it acked, and acks, refuses or hangs as it is told. */
export class TestCell implements AsyncDisposable {
  /** Acked messages, in the order of their acks. */
  readonly messages: InboundMessage[] = [];
  /** Undefined acks; a code of 0x80 and above refuses. */
  answer: (message: InboundMessage) => Promise<number | undefined> = async () => undefined;
  /** What a SUBSCRIBE is granted. */
  grant: () => number | Promise<number> = () => 1;
  readonly connects: ConnectRequest[] = [];
  readonly port: number;
  #server: Server | undefined;
  #mqtt: MqttServer<null, Socket> | undefined;
  #sessions = new Set<Session<null>>();

  readonly #tls: TlsOptions | undefined;

  private constructor(port: number, tls: TlsOptions | undefined) {
    this.port = port;
    this.#tls = tls;
  }

  /** With `tls` it asks for certificates, and refuses who has none. */
  static async start(tls?: TlsOptions): Promise<TestCell> {
    const cell = new TestCell(await freePort(), tls);
    await cell.open();
    return cell;
  }

  get url(): string {
    return `${this.#tls ? 'mqtts' : 'mqtt'}://127.0.0.1:${this.port}`;
  }

  /** Serves again after `close`, on the same port. */
  async open(): Promise<void> {
    const mqtt = new MqttServer<null, Socket>(this.#owner());
    const serve = (socket: Socket) => mqtt.serve(socket, socket);
    const server = this.#tls ? createTlsServer(this.#tls, serve) : createServer(serve);
    await listen(server, this.port);
    this.#mqtt = mqtt;
    this.#server = server;
  }

  /** An outage: every connection is cut and none is taken. */
  async close(): Promise<void> {
    const server = must(this.#server, 'The cell is open');
    const closed = new Promise((resolve) => server.close(resolve));
    this.#mqtt?.[Symbol.dispose]();
    this.#sessions.clear();
    await closed;
    this.#server = undefined;
  }

  #owner(): MqttOwner<null, Socket> {
    return {
      authenticate: async (request) => {
        this.connects.push(request);
        return { admitted: true, key: request.clientId, identity: null };
      },
      publish: async (_session, message) => {
        const code = await this.answer(message);
        if (code === undefined || code < 0x80) this.messages.push(message);
        return code;
      },
      subscribe: () => this.grant(),
      will: (_session, message) => void this.messages.push(message),
      opened: (session) => void this.#sessions.add(session),
      closed: (session) => void this.#sessions.delete(session),
    };
  }

  async send(topic: string, body: unknown): Promise<void> {
    const payload = Buffer.from(JSON.stringify(body));
    for (const session of this.#sessions)
      if (session.wants(topic)) await session.deliver({ topic, payload, qos: 1 });
  }

  /** Readings of all acked messages, in order. */
  readings(): ReceivedReading[] {
    return this.messages.flatMap(({ topic, payload }) => {
      const [, , device = '', lane = ''] = topic.split('/');
      if (lane !== 'telemetry' && lane !== 'backfill') return [];
      const body: unknown = JSON.parse(payload.toString());
      return (Array.isArray(body) ? body : [body]).map((one: unknown) => ({
        device,
        lane,
        ...readingSchema.parse(one),
      }));
    });
  }

  /** Bodies of what was acked on topics that end so. */
  bodies(topicEnd: string): unknown[] {
    return this.messages
      .filter(({ topic }) => topic.endsWith(topicEnd))
      .map(({ payload }): unknown => JSON.parse(payload.toString()));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#server) await this.close();
  }
}

async function listen(server: Server, port: number): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', () => resolve());
  });
}
