/** The rival: aedes, whose ack is held back by `authorizePublish` until Kafka has the message. */
import { createServer } from 'node:net';
import { callbackify } from 'node:util';
import { Aedes } from 'aedes';
import { openRival } from './config.ts';

const { port, send } = await openRival();
const keep = callbackify(send);
const aedes = await Aedes.createBroker({
  authorizePublish(client, packet, callback) {
    if (!client || packet.topic.startsWith('$SYS')) {
      callback(null);
      return;
    }
    const payload = Buffer.isBuffer(packet.payload) ? packet.payload : Buffer.from(packet.payload);
    keep({ topic: packet.topic, payload, client: client.id }, (error) => callback(error));
  },
});
createServer({ noDelay: true }, (socket) => void aedes.handle(socket)).listen(port, '127.0.0.1');
