/** The floor: parse, batch to Kafka with the same producer, ack. No sessions, rights, order or bounds. */
import { createServer } from 'node:net';
import { parser as createParser } from 'mqtt-packet';
import { openRival } from './config.ts';

const { port, send } = await openRival();
createServer({ noDelay: true }, (socket) => {
  const parser = createParser({ protocolVersion: 4 });
  let client = '';
  let acks: Buffer[] = [];
  const flush = () => {
    if (socket.writable) socket.write(Buffer.concat(acks));
    acks = [];
  };
  const ack = (id: number) => {
    if (acks.length === 0) process.nextTick(flush);
    acks.push(Buffer.from([0x40, 2, id >> 8, id & 0xff]));
  };
  parser.on('packet', (packet) => {
    if (packet.cmd === 'connect') {
      client = packet.clientId;
      socket.write(Buffer.from([0x20, 2, 0, 0]));
    } else if (packet.cmd === 'publish') {
      const id = packet.messageId ?? 0;
      const payload = Buffer.isBuffer(packet.payload)
        ? packet.payload
        : Buffer.from(packet.payload);
      send({ topic: packet.topic, payload, client }).then(
        () => ack(id),
        () => socket.destroy(),
      );
    }
  });
  socket.on('data', (bytes) => parser.parse(bytes));
  socket.on('error', () => undefined);
}).listen(port, '127.0.0.1');
