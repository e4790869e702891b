import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { Duplex } from 'node:stream';
import { setTimeout as wait } from 'node:timers/promises';
import { firstPacketBytes, type Heard, readPacket } from './heard.ts';
import {
  ackPacket,
  type Connect,
  connectPacket,
  disconnectPacket,
  type Filter,
  packetType,
  pingPacket,
  type Properties,
  type Publish,
  publishPacket,
  subscribePacket,
  unsubscribePacket,
  type Version,
} from './wire.ts';

/** How long a test waits for what must come, and how long it listens for what must not. */
export interface Patience {
  readonly patienceMs: number;
  readonly quietMs: number;
}

export interface Publishing extends Omit<Publish, 'topic' | 'payload'> {
  /** The end of the handshake is not waited for. */
  readonly only?: boolean;
}

/** A client that says what it is told to, and keeps every packet that it hears until a test takes it. */
export class Client {
  readonly socket: Duplex;
  readonly version: Version;
  readonly clientId: string;
  readonly inbox: Heard[] = [];
  readonly #patience: Patience;
  #unread: Buffer = Buffer.alloc(0);
  #fault: Error | undefined;
  #ended = false;
  #lastId = 0;
  #awake = Promise.withResolvers<void>();

  constructor(
    socket: Duplex,
    { version, clientId, patience }: { version: Version; clientId: string; patience: Patience },
  ) {
    this.socket = socket;
    this.version = version;
    this.clientId = clientId;
    this.#patience = patience;
    socket.on('data', (bytes: Buffer) => this.#hear(bytes));
    socket.on('error', () => undefined);
    for (const event of ['end', 'close']) {
      socket.on(event, () => {
        this.#ended = true;
        this.#wake();
      });
    }
  }

  get ended(): boolean {
    return this.#ended;
  }

  nextId(): number {
    this.#lastId += 1;
    return this.#lastId;
  }

  send(...bytes: readonly Buffer[]): void {
    this.socket.write(Buffer.concat(bytes));
  }

  /** Closes without a DISCONNECT. */
  cut(): void {
    this.socket.destroy();
  }

  /** Says DISCONNECT and waits until the server has closed too. */
  async leave(code?: number, properties?: Properties): Promise<void> {
    this.send(disconnectPacket(code, properties));
    this.socket.end();
    if (!this.socket.destroyed) await once(this.socket, 'close');
  }

  /** CONNECT, and the CONNACK. */
  async connect(of: Connect = {}): Promise<Heard> {
    this.send(connectPacket(this.version, { clientId: this.clientId, ...of }));
    return this.take(packetType.connack);
  }

  /** The first packet of this type that no test took yet. */
  async take(type: number): Promise<Heard> {
    const found = await this.#wait(() => {
      const at = this.inbox.findIndex((heard) => heard.type === type);
      return at < 0 ? undefined : this.inbox.splice(at, 1)[0];
    }, `a packet of type ${type}`);
    return found;
  }

  /** The next packet, whatever it is. */
  next(): Promise<Heard> {
    return this.#wait(() => this.inbox.shift(), 'a packet');
  }

  /** The next PUBLISH, taken to the end of its handshake. */
  async receive(): Promise<Heard> {
    const heard = await this.take(packetType.publish);
    await this.finish(heard);
    return heard;
  }

  /** What a client owes for a PUBLISH. */
  async finish({ qos, id }: Heard): Promise<void> {
    if (qos === 1) this.send(ackPacket({ type: packetType.puback, id }));
    if (qos !== 2) return;
    this.send(ackPacket({ type: packetType.pubrec, id }));
    const release = await this.take(packetType.pubrel);
    assert.equal(release.id, id, 'PUBREL names the message');
    this.send(ackPacket({ type: packetType.pubcomp, id }));
  }

  /** The next payloads, as text, in the order of their coming. */
  async payloads(count: number): Promise<string[]> {
    const found: string[] = [];
    while (found.length < count) found.push((await this.receive()).payload.toString());
    return found;
  }

  /** SUBSCRIBE, and the codes of the SUBACK. */
  async subscribe(filters: string | readonly Filter[], properties?: Properties): Promise<number[]> {
    const id = this.nextId();
    const all: readonly Filter[] = typeof filters === 'string' ? [[filters, 2]] : filters;
    const more = properties && { properties };
    this.send(subscribePacket(this.version, { id, filters: all, ...more }));
    const ack = await this.take(packetType.suback);
    assert.equal(ack.id, id, 'SUBACK names its SUBSCRIBE');
    return [...ack.codes];
  }

  /** UNSUBSCRIBE, and the codes of the UNSUBACK. */
  async unsubscribe(...filters: string[]): Promise<number[]> {
    const id = this.nextId();
    this.send(unsubscribePacket(this.version, { id, filters }));
    const ack = await this.take(packetType.unsuback);
    assert.equal(ack.id, id, 'UNSUBACK names its UNSUBSCRIBE');
    return [...ack.codes];
  }

  /** PUBLISH up to the end of its handshake, whose last packet it gives; nothing for QoS 0. */
  async publish(
    topic: string,
    payload: string | Buffer,
    { only = false, ...of }: Publishing = {},
  ): Promise<Heard | undefined> {
    const qos = of.qos ?? 0;
    const id = of.id ?? (qos > 0 ? this.nextId() : 0);
    this.send(publishPacket(this.version, { topic, payload, ...of, id }));
    if (qos === 0 || only) return undefined;
    const ack = await this.take(qos === 1 ? packetType.puback : packetType.pubrec);
    assert.equal(ack.id, id, 'the ack names its PUBLISH');
    return qos === 1 || ack.code >= 0x80 ? ack : this.release(id);
  }

  /** PUBREL, and its PUBCOMP. */
  async release(id: number): Promise<Heard> {
    this.send(ackPacket({ type: packetType.pubrel, id }));
    const complete = await this.take(packetType.pubcomp);
    assert.equal(complete.id, id, 'PUBCOMP names the message');
    return complete;
  }

  /** PINGREQ, and its PINGRESP: all that was said before was handled. */
  async ping(): Promise<void> {
    this.send(pingPacket);
    await this.take(packetType.pingresp);
  }

  /** Nothing comes, and the connection stays. */
  async hearsNothing(): Promise<void> {
    await wait(this.#patience.quietMs);
    await this.ping();
    assert.deepEqual(this.inbox.map(nameOf), [], 'nothing was to come');
  }

  /** The connection ends, in MQTT 5 with one of the codes in a DISCONNECT, in 3.1.1 without a word. */
  async isClosed(...codes: readonly number[]): Promise<void> {
    const last = await this.closing();
    if (this.version === 4) assert.equal(last, undefined, 'MQTT 3.1.1 knows no such packet');
    else assertCode(last, codes);
  }

  /** CONNECT is refused: a CONNACK with one of the codes, and the connection ends. */
  async isRefused(...codes: readonly number[]): Promise<void> {
    const last = await this.closing();
    assert.equal(last?.type, packetType.connack, 'a CONNACK tells why');
    assert.equal(last.sessionPresent, false);
    assertCode(last, codes);
  }

  /** The last packet before the end of the connection. */
  async closing(): Promise<Heard | undefined> {
    await this.#wait(() => this.#ended || undefined, 'the end of the connection');
    return this.inbox.at(-1);
  }

  #hear(bytes: Buffer): void {
    this.#unread = Buffer.concat([this.#unread, bytes]);
    try {
      for (;;) {
        const length = firstPacketBytes(this.#unread);
        if (length === undefined) break;
        this.inbox.push(readPacket(this.#unread.subarray(0, length), this.version));
        this.#unread = this.#unread.subarray(length);
      }
    } catch (error) {
      this.#fault ??= error instanceof Error ? error : new Error('unreadable');
    }
    this.#wake();
  }

  #wake(): void {
    this.#awake.resolve();
    this.#awake = Promise.withResolvers<void>();
  }

  async #wait<Value>(condition: () => Value | undefined, what: string): Promise<Value> {
    const until = performance.now() + this.#patience.patienceMs;
    for (;;) {
      if (this.#fault) throw this.#fault;
      const found = condition();
      if (found !== undefined) return found;
      const had = this.inbox.map(nameOf).join(', ');
      assert.ok(!this.#ended, `waited for ${what}; the connection ended after [${had}]`);
      const leftMs = until - performance.now();
      assert.ok(leftMs > 0, `waited in vain for ${what}; had [${had}]`);
      const timer = new AbortController();
      await Promise.race([
        this.#awake.promise,
        wait(leftMs, undefined, { signal: timer.signal }).catch(() => undefined),
      ]);
      timer.abort();
    }
  }
}

function nameOf({ type, code, topic }: Heard): string {
  const found = Object.entries(packetType).find(([, value]) => value === type);
  const detail = type === packetType.publish ? topic : `0x${code.toString(16)}`;
  return `${found?.[0] ?? type} ${detail}`;
}

function inWords(code: number): string {
  return `0x${code.toString(16)}`;
}

function assertCode(heard: Heard | undefined, codes: readonly number[]): void {
  assert.ok(heard, `nothing was said; expected ${codes.map(inWords).join(' or ')}`);
  assert.ok(
    codes.includes(heard.code),
    `expected ${codes.map(inWords).join(' or ')}, got ${nameOf(heard)}`,
  );
}
