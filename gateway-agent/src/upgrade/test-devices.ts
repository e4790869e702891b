import { type Socket, connect } from 'node:net';

/** CONNECT of MQTT 3.1.1 (section 3.1): clean session, no keep-alive. */
function connectPacket(clientId: string): Buffer {
  const id = Buffer.from(clientId);
  const variable = Buffer.from([0, 4, 0x4d, 0x51, 0x54, 0x54, 4, 2, 0, 0, 0, id.length]);
  return Buffer.concat([Buffer.from([0x10, variable.length + id.length]), variable, id]);
}

/** PUBLISH, QoS 0 (section 3.3). */
function publishPacket(topic: string, payload: string): Buffer {
  const body = Buffer.concat([
    Buffer.from([topic.length >> 8, topic.length & 0xff]),
    Buffer.from(topic),
    Buffer.from(payload),
  ]);
  const length: number[] = [];
  for (let left = body.length; ;) {
    const digit = left % 128;
    left = Math.floor(left / 128);
    length.push(left > 0 ? digit | 0x80 : digit);
    if (left === 0) break;
  }
  return Buffer.concat([Buffer.from([0x30, ...length]), body]);
}

/**
 * A microcontroller: says its counter now and then, QoS 0, keeps nothing, and asks nobody whether it arrived. When the connection is
 * closed it opens another one with its next word.
 */
export class TestDevice {
  readonly name: string;
  readonly #port: number;
  #socket: Socket | undefined;
  /** How often the connection was closed by a reset instead of an end. */
  resets = 0;
  connections = 0;
  said = 0;

  constructor(name: string, port: number) {
    this.name = name;
    this.#port = port;
  }

  say(): void {
    const socket = this.#socket ?? this.#connect();
    socket.write(publishPacket(`${this.name}/telemetry`, `{"values":{"n":${this.said}}}`));
    this.said += 1;
  }

  #connect(): Socket {
    const socket = connect({ port: this.#port, host: '127.0.0.1', noDelay: true });
    this.connections += 1;
    this.#socket = socket;
    socket.write(connectPacket(this.name));
    socket.resume();
    const gone = () => {
      if (this.#socket === socket) this.#socket = undefined;
    };
    socket.once('end', gone);
    socket.once('error', () => {
      this.resets += 1;
      gone();
    });
    return socket;
  }

  close(): void {
    this.#socket?.destroy();
    this.#socket = undefined;
  }
}

/** Devices that each say something every `everyMs`, evenly spread. */
export class TestDevices implements Disposable {
  readonly devices: readonly TestDevice[];
  readonly #timer: NodeJS.Timeout;
  #place = 0;

  constructor(count: number, { port, everyMs }: { port: number; everyMs: number }) {
    this.devices = Array.from(
      { length: count },
      (_, n) => new TestDevice(`d${`${n}`.padStart(4, '0')}`, port),
    );
    const tickMs = 20;
    const fromMs = performance.now();
    this.#timer = setInterval(() => {
      const due = Math.floor(((performance.now() - fromMs) / everyMs) * count);
      for (; this.#place < due; this.#place += 1) this.devices[this.#place % count]?.say();
    }, tickMs);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  [Symbol.dispose](): void {
    this.stop();
    for (const device of this.devices) device.close();
  }
}
