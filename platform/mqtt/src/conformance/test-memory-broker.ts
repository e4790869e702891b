import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { MqttLimits } from '../limits.ts';
import type {
  InboundMessage,
  MqttOwner,
  OutboundMessage,
  Session,
  Subscription,
} from '../owner.ts';
import { reason } from '../reason-codes.ts';
import { MqttServer } from '../server.ts';
import { filterTakes } from '../topic-filters.ts';

/** What is retained beyond that is not kept: hostile clients have many topics. */
const retainedMax = 1000;
/** Of a session; what comes beyond that is dropped. */
const waitingMax = 1000;

interface Waiting {
  readonly message: OutboundMessage;
  readonly matching: readonly Subscription[];
}

/** The least owner that makes the room a whole broker: it keeps everything in memory, and lets everybody do everything. */
class MemoryOwner implements MqttOwner<string, Duplex> {
  readonly #sessions = new Set<Session<string>>();
  readonly #retained = new Map<string, OutboundMessage>();
  /** What found no room in the queue of a session. */
  readonly #waiting = new Map<Session<string>, Waiting[]>();
  readonly #turns = new Map<string, number>();

  constructor() {
    const topic = '$SYS/broker/version';
    this.#retained.set(topic, { topic, payload: Buffer.from('memory'), qos: 0, retain: true });
  }

  async authenticate({ clientId }: { readonly clientId: string }) {
    return { admitted: true as const, key: clientId, identity: clientId };
  }

  async publish(session: Session<string>, message: InboundMessage): Promise<number> {
    if (message.topic.startsWith('$')) return reason.notAuthorized;
    return this.#take(message, session);
  }

  subscribe(_session: Session<string>, { qos }: Subscription): number {
    return qos;
  }

  subscribed(session: Session<string>, subscription: Subscription, isNew: boolean): void {
    const { filter, share, retainHandling } = subscription;
    if (share !== undefined || retainHandling === 2 || (retainHandling === 1 && !isNew)) return;
    for (const [topic, message] of this.#retained) {
      const isOver = (message.expiresAtMs ?? Infinity) <= Date.now();
      if (isOver) this.#retained.delete(topic);
      else if (filterTakes(filter, topic)) {
        this.#offer(session, {
          message: { ...message, fromRetained: true },
          matching: [subscription],
        });
      }
    }
  }

  will(session: Session<string>, message: InboundMessage): void {
    this.#take(message, session);
  }

  opened(session: Session<string>): void {
    this.#sessions.add(session);
  }

  ended(session: Session<string>): void {
    this.#sessions.delete(session);
    this.#waiting.delete(session);
  }

  room(session: Session<string>): void {
    const waiting = this.#waiting.get(session) ?? [];
    this.#waiting.delete(session);
    for (const each of waiting) this.#offer(session, each);
  }

  #take(message: InboundMessage, from: Session<string>): number {
    const { topic, payload, qos, retain, properties, expirySeconds } = message;
    const outbound: OutboundMessage = {
      topic,
      payload,
      qos,
      retain,
      properties,
      ...(expirySeconds !== undefined && { expiresAtMs: Date.now() + expirySeconds * 1000 }),
    };
    if (retain && payload.length === 0) this.#retained.delete(topic);
    else if (retain && (this.#retained.size < retainedMax || this.#retained.has(topic)))
      this.#retained.set(topic, outbound);
    return this.#route(outbound, from) ? reason.success : 0x10;
  }

  /** Whether anybody wants it. */
  #route(message: OutboundMessage, from: Session<string>): boolean {
    const groups = new Map<string, { session: Session<string>; subscription: Subscription }[]>();
    let wanted = false;
    for (const session of this.#sessions) {
      const all = [...session.subscriptions.values()].filter(({ filter }) =>
        filterTakes(filter, message.topic),
      );
      const matching = all.filter(
        ({ share, noLocal }) => share === undefined && !(noLocal && session.key === from.key),
      );
      if (matching.length > 0) this.#offer(session, { message, matching });
      wanted ||= matching.length > 0;
      for (const subscription of all.filter(({ share }) => share !== undefined)) {
        const members = groups.get(subscription.name) ?? [];
        groups.set(subscription.name, [...members, { session, subscription }]);
      }
    }
    for (const [name, members] of groups) {
      const turn = this.#turns.get(name) ?? 0;
      this.#turns.set(name, turn + 1);
      const member = members[turn % members.length];
      if (member) this.#offer(member.session, { message, matching: [member.subscription] });
    }
    return wanted || groups.size > 0;
  }

  #offer(session: Session<string>, each: Waiting): void {
    const waiting = this.#waiting.get(session);
    if (waiting) {
      if (waiting.length < waitingMax) waiting.push(each);
    } else if (!session.offer(each.message, each.matching, () => undefined)) {
      this.#waiting.set(session, [each]);
    }
  }
}

/** The room behind a listener on a free port, with such an owner. */
export class MemoryBroker implements AsyncDisposable {
  readonly server: MqttServer<string, Duplex>;
  readonly #listener: Server;

  static async open(limits: Partial<MqttLimits> = {}): Promise<MemoryBroker> {
    const opened = new MemoryBroker(limits);
    await once(opened.#listener, 'listening');
    return opened;
  }

  private constructor(limits: Partial<MqttLimits>) {
    this.server = new MqttServer<string, Duplex>(new MemoryOwner(), { limits });
    this.#listener = createServer({ noDelay: true }, (socket) => this.serve(socket));
    this.#listener.listen(0, '127.0.0.1');
  }

  get port(): number {
    const address = this.#listener.address();
    if (address === null || typeof address === 'string') throw new Error('No port');
    return address.port;
  }

  /** A connection that came another way. */
  serve(socket: Duplex): void {
    this.server.serve(socket, socket);
  }

  async connect(): Promise<Socket> {
    const socket = connect({ port: this.port, host: '127.0.0.1', noDelay: true });
    await once(socket, 'connect');
    return socket;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.server[Symbol.dispose]();
    this.#listener.close();
    await once(this.#listener, 'close');
  }
}
