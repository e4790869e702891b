import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { generate } from 'mqtt-packet';

export interface RawSubscriberOptions {
  readonly port: number;
  readonly building: string;
  readonly password: string;
  readonly topic: string;
  readonly clientId: string;
  /** So many more messages have arrived. */
  readonly heard: (count: number) => void;
}

const publish = 3;

/** A subscriber at QoS 0 that only counts: a thousand of them in one process must not be what is measured. */
export class RawSubscriber {
  readonly #socket: Socket;
  #rest: Buffer = Buffer.alloc(0);

  static async open(options: RawSubscriberOptions): Promise<RawSubscriber> {
    const { port, building, password, topic, clientId, heard } = options;
    const socket = connect({ host: '127.0.0.1', port, noDelay: true });
    socket.write(
      generate({
        cmd: 'connect',
        protocolVersion: 4,
        clientId,
        clean: true,
        keepalive: 0,
        username: building,
        password: Buffer.from(password),
      }),
    );
    await once(socket, 'data');
    socket.write(generate({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic, qos: 0 }] }));
    await once(socket, 'data');
    return new RawSubscriber(socket, heard);
  }

  private constructor(socket: Socket, heard: (count: number) => void) {
    this.#socket = socket;
    socket.on('error', () => undefined);
    socket.on('data', (chunk: Buffer) => {
      const count = this.#count(chunk);
      if (count > 0) heard(count);
    });
  }

  async close(): Promise<void> {
    const closed = once(this.#socket, 'close');
    this.#socket.destroy();
    await closed;
  }

  /** Whole PUBLISH packets in what has come; their remaining length takes one or two bytes here. */
  #count(chunk: Buffer): number {
    let bytes = this.#rest.length > 0 ? Buffer.concat([this.#rest, chunk]) : chunk;
    let count = 0;
    while (bytes.length >= 3) {
      const low = bytes[1] ?? 0;
      const isLong = low > 127;
      const length = isLong ? (low & 127) + 128 * (bytes[2] ?? 0) : low;
      const total = (isLong ? 3 : 2) + length;
      if (bytes.length < total) break;
      if ((bytes[0] ?? 0) >> 4 === publish) count += 1;
      bytes = bytes.subarray(total);
    }
    this.#rest = bytes;
    return count;
  }
}
