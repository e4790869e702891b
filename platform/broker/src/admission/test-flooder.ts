/**
 * A process that floods a broker, for tests: `node test-flooder.ts '{"port",…}'`. It writes as fast as the broker reads, until it
 * is killed, and says once a second how many packets it wrote.
 */
import { connect as connectTcp, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { generate, type Packet } from 'mqtt-packet';
import { z } from 'zod';

const floods = ['publish', 'publish-large', 'ping', 'subscribe', 'connect'] as const;
export type Flood = (typeof floods)[number];

const order = z
  .object({
    port: z.number(),
    secure: z.boolean(),
    building: z.string(),
    password: z.string(),
    flood: z.enum(floods),
    connections: z.number(),
  })
  .parse(JSON.parse(process.argv[2] ?? ''));
const { building, flood } = order;

let written = 0;
let closed = 0;
const options = { protocolVersion: 4 };
const chunkPackets = flood === 'publish-large' ? 1 : 500;

function packet(index: number): Packet {
  const messageId = 1 + (index % 60_000);
  if (flood === 'ping') return { cmd: 'pingreq' };
  if (flood === 'subscribe') {
    const topic = `v1/${building}/d${index % 50}/status`;
    return { cmd: 'subscribe', messageId, subscriptions: [{ topic, qos: 1 }] };
  }
  const payload = flood === 'publish-large' ? Buffer.alloc(100_000, 0x20) : '{"values":{"co2":1}}';
  const topic = `v1/${building}/d${index % 20}/telemetry`;
  return { cmd: 'publish', topic, payload, qos: 1, dup: false, retain: false, messageId };
}

const chunk = Buffer.concat(
  Array.from({ length: chunkPackets }, (_, index) => generate(packet(index), options)),
);

function open(index: number): void {
  const { port, secure } = order;
  const at = { port, host: '127.0.0.1' };
  const socket: Socket = secure ? connectTls({ ...at, rejectUnauthorized: false }) : connectTcp(at);
  socket.on('error', () => undefined);
  socket.on('close', () => {
    closed += 1;
    setTimeout(() => open(index), flood === 'connect' ? 0 : 100);
  });
  socket.once(secure ? 'secureConnect' : 'connect', () => {
    const clientId = `flood-${index}`;
    const { password } = order;
    socket.write(
      generate(
        {
          cmd: 'connect',
          clientId,
          clean: true,
          username: building,
          password: Buffer.from(password),
        },
        options,
      ),
    );
  });
  socket.once('data', () => {
    socket.resume();
    if (flood === 'connect') socket.destroy();
    else pour(socket);
  });
}

function pour(socket: Socket): void {
  written += chunkPackets;
  socket.write(chunk, () => {
    if (!socket.destroyed) setImmediate(pour, socket);
  });
}

for (let index = 0; index < order.connections; index += 1) open(index);
process.stdout.on('error', () => process.kill(process.pid));
setInterval(() => process.stdout.write(`${JSON.stringify({ written, closed })}\n`), 1000);
