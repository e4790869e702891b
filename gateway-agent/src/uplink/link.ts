import { readFile } from 'node:fs/promises';
import { topicLengthMax } from '@domicile/core/topics.ts';
import { unlessAborted } from '@domicile/runtime/unless-aborted.ts';
import { type IClientOptions, type IPublishPacket, type MqttClient, connect } from 'mqtt';
import type { UplinkConfig } from '../config.ts';
import { messageBytesMax } from '../model/batches.ts';

/** The cell refused this one message. It may be tried again later. */
export class MessageRefused extends Error {
  override readonly name = 'MessageRefused';
  /** MQTT 5, section 2.4; 0x80 and above. */
  readonly reasonCode: number;

  constructor(reasonCode: number) {
    super(`Cannot send: the cell refused with 0x${reasonCode.toString(16)}`);
    this.reasonCode = reasonCode;
  }
}

/** The connection ended; whether the cell has what was not acked is unknown. */
export class LinkLost extends Error {
  override readonly name = 'LinkLost';
}

/** MQTT 5, section 2.4. */
const packetTooLarge = 0x95;
/** Fixed header, lengths, packet id and properties of a PUBLISH. */
const packetOverheadBytes = 16;
/** Longer than a cell looks for the end of its log. */
const subscribeTimeoutMs = 30_000;

/** What the gateway says of itself, retained. */
export interface StatusTopic {
  readonly topic: string;
  readonly offline: Buffer;
}

export interface LinkHandlers {
  /** A command came; it is acked to the cell when this is done. */
  readonly command: (topic: string, payload: Buffer) => Promise<void>;
  readonly commandFilter: string;
  readonly status: StatusTopic;
}

/** One connection to the cell, from CONNACK to its end. Never comes back: the next one is another link. */
export class Link {
  readonly #client: MqttClient;
  readonly #pending = new Set<(error: LinkLost) => void>();
  readonly #lost = new AbortController();
  #closing = false;

  constructor(client: MqttClient) {
    this.#client = client;
    client.on('error', () => undefined);
    client.once('close', () =>
      this.#end(this.#closing ? 'the agent closed it' : 'the connection closed'),
    );
    client.on('disconnect', (packet) => this.#end(`disconnected with ${packet.reasonCode ?? 0}`));
  }

  /** Aborts when the connection ends; its reason is a `LinkLost`. */
  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  /** Unacked messages that the cell takes at once. */
  get receiveMaximum(): number {
    return this.#client.serverProperties?.receiveMaximum ?? 65_535;
  }

  /** The longest payload to make of several readings. */
  get payloadBytesMax(): number {
    return Math.min(messageBytesMax, this.#payloadBytesTaken);
  }

  get #payloadBytesTaken(): number {
    const { maximumPacketSize = Infinity } = this.#client.serverProperties ?? {};
    return maximumPacketSize - packetOverheadBytes - topicLengthMax;
  }

  /** QoS 1. Resolves on a PUBACK of success; throws `MessageRefused` or `LinkLost`. */
  publish(topic: string, payload: Buffer, { retain = false } = {}): Promise<void> {
    if (this.#lost.signal.aborted)
      return Promise.reject(new LinkLost('Cannot send: no connection'));
    // The cell would close the connection, again and again.
    if (payload.length > this.#payloadBytesTaken)
      return Promise.reject(new MessageRefused(packetTooLarge));
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#pending.add(reject);
    this.#client.publish(topic, payload, { qos: 1, retain }, (error) => {
      this.#pending.delete(reject);
      if (error) reject(failureOf(error));
      else resolve();
    });
    return promise;
  }

  async subscribe(filter: string): Promise<void> {
    await this.#client.subscribeAsync(filter, { qos: 1 });
  }

  /** DISCONNECT, so that no will is published. */
  async close(timeoutMs: number): Promise<void> {
    if (!this.#lost.signal.aborted) {
      this.#closing = true;
      const timeout = AbortSignal.timeout(timeoutMs);
      const { promise, resolve } = Promise.withResolvers<void>();
      timeout.addEventListener('abort', () => resolve(), { once: true });
      this.#client.end(false, {}, () => resolve());
      await promise;
    }
    this.#end('the agent closed it');
  }

  #end(reason: string): void {
    if (this.#lost.signal.aborted) return;
    const error = new LinkLost(`Cannot send: ${reason}`);
    this.#lost.abort(error);
    for (const reject of this.#pending) reject(error);
    this.#pending.clear();
    this.#client.end(true);
  }
}

function failureOf(error: Error): MessageRefused | LinkLost {
  const code = 'code' in error ? error.code : undefined;
  return typeof code === 'number' && code >= 0x80
    ? new MessageRefused(code)
    : new LinkLost(error.message, { cause: error });
}

/** Connects once. Throws what the connection or the cell says against it. */
export async function openLink(
  config: UplinkConfig,
  handlers: LinkHandlers,
  signal: AbortSignal,
): Promise<Link> {
  const options = await optionsOf(config, handlers.status);
  if (signal.aborted) throw new LinkLost('Cannot connect: the agent stops');
  const client = connect(config.url, options);
  client.handleMessage = (packet: IPublishPacket, done) => {
    const payload = Buffer.from(packet.payload);
    void takeCommand(handlers.command(packet.topic, payload), done);
  };
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  client.once('connect', () => resolve());
  client.once('error', reject);
  client.once('close', () => reject(new LinkLost('Cannot connect: the connection closed')));
  const abort = () => reject(new LinkLost('Cannot connect: the agent stops'));
  signal.addEventListener('abort', abort, { once: true });
  try {
    await promise;
    const link = new Link(client);
    // A cell that answers CONNECT and nothing more must not keep the agent from trying again, or from stopping.
    const late = AbortSignal.timeout(subscribeTimeoutMs);
    await unlessAborted(AbortSignal.any([signal, late]), link.subscribe(handlers.commandFilter));
    return link;
  } catch (error) {
    client.on('error', () => undefined);
    client.end(true);
    throw error;
  } finally {
    signal.removeEventListener('abort', abort);
  }
}

/** Acked in any case: the states of a command say what became of it, and one that was not kept has none. */
async function takeCommand(taking: Promise<void>, done: () => void): Promise<void> {
  await taking.catch(() => undefined);
  done();
}

/** Files are read at each connection, so that a renewed certificate is taken up. */
async function optionsOf(config: UplinkConfig, status: StatusTopic): Promise<IClientOptions> {
  const { building, gateway, caFile, certFile, keyFile, passwordFile } = config;
  const [ca, cert, key, password] = await Promise.all(
    [caFile, certFile, keyFile, passwordFile].map(async (path) => path && readFile(path)),
  );
  return {
    protocolVersion: 5,
    clientId: gateway,
    clean: true,
    reconnectPeriod: 0,
    resubscribe: false,
    queueQoSZero: false,
    connectTimeout: config.connectTimeoutMs,
    keepalive: config.keepAliveSeconds,
    will: { topic: status.topic, payload: status.offline, qos: 1, retain: true },
    ...(ca && { ca }),
    ...(cert && { cert }),
    ...(key && { key }),
    ...(password && { username: building, password: password.toString().trim() }),
  };
}
