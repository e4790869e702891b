/**
 * Carries from mosquitto to Kafka, and acks each message to mosquitto only after Kafka has it. It speaks MQTT by the codec
 * alone: a client library that hands over one message at a time would be what is measured.
 */
import { connect } from 'node:net';
import { generate, parser as createParser } from 'mqtt-packet';
import { openRival } from './config.ts';

const { port, send } = await openRival();
const socket = connect({ host: '127.0.0.1', port, noDelay: true });
const parser = createParser({ protocolVersion: 4 });
let acks: Buffer[] = [];

function ack(id: number): void {
  if (acks.length === 0)
    setImmediate(() => {
      socket.write(Buffer.concat(acks));
      acks = [];
    });
  acks.push(Buffer.from([0x40, 2, id >> 8, id & 0xff]));
}

async function carry(topic: string, payload: Buffer, id: number): Promise<void> {
  await send({ topic, payload, client: 'kafka-bridge' });
  ack(id);
}

parser.on('packet', (packet) => {
  if (packet.cmd === 'connack')
    socket.write(
      generate({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: 'v1/#', qos: 1 }] }),
    );
  if (packet.cmd === 'publish')
    void carry(packet.topic, Buffer.from(packet.payload), packet.messageId ?? 0);
});
socket.on('data', (bytes) => parser.parse(bytes));
socket.write(
  generate({
    cmd: 'connect',
    protocolVersion: 4,
    clientId: 'kafka-bridge',
    clean: false,
    keepalive: 0,
  }),
);
