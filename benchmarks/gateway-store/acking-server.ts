/** The least that a cell can be: takes what is published by MQTT 5 and acks it at once. Prints its port. */
import { createServer } from 'node:net';
import { type Packet, generate, parser as createParser } from 'mqtt-packet';

const server = createServer({ noDelay: true }, (socket) => {
  const parser = createParser({ protocolVersion: 5 });
  let answers: Buffer[] = [];
  const say = (packet: Packet) => {
    if (answers.length === 0)
      setImmediate(() => {
        if (socket.writable) socket.write(Buffer.concat(answers));
        answers = [];
      });
    answers.push(generate(packet, { protocolVersion: 5 }));
  };
  parser.on('packet', (packet) => {
    const { messageId } = packet;
    if (packet.cmd === 'connect') say({ cmd: 'connack', reasonCode: 0, sessionPresent: false });
    else if (packet.cmd === 'publish' && packet.qos === 1)
      say({ cmd: 'puback', reasonCode: 0, ...(messageId !== undefined && { messageId }) });
    else if (packet.cmd === 'subscribe')
      say({ cmd: 'suback', granted: [1], ...(messageId !== undefined && { messageId }) });
    else if (packet.cmd === 'pingreq') say({ cmd: 'pingresp' });
  });
  socket.on('data', (bytes) => parser.parse(bytes));
  socket.on('error', () => undefined);
});
server.listen(0, '127.0.0.1', () => {
  const address = server.address();
  process.stdout.write(`${typeof address === 'object' ? address?.port : ''}\n`);
});
