import { once } from 'node:events';
import { connect } from 'node:net';
import { generate, parser as createParser } from 'mqtt-packet';

/** The floor of a drain: the same messages by the least that can send them, so many unacked. Resolves to messages a second. */
export async function sendBare(
  payloads: readonly Buffer[],
  { port, window }: { port: number; window: number },
): Promise<number> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true });
  await once(socket, 'connect');
  const parser = createParser({ protocolVersion: 5 });
  const { promise, resolve } = Promise.withResolvers<void>();
  const options = { protocolVersion: 5 as const };
  let sent = 0;
  let acked = 0;
  const pump = () => {
    const parts: Buffer[] = [];
    for (; sent < payloads.length && sent - acked < window; sent += 1)
      parts.push(
        generate(
          {
            cmd: 'publish',
            topic: 'v1/de-benchmark/r100-air/backfill',
            payload: payloads[sent] ?? '',
            qos: 1,
            dup: false,
            retain: false,
            messageId: (sent % 65_535) + 1,
          },
          options,
        ),
      );
    if (parts.length > 0) socket.write(Buffer.concat(parts));
  };
  parser.on('packet', ({ cmd }) => {
    if (cmd === 'puback') acked += 1;
    if (acked === payloads.length) resolve();
  });
  socket.on('data', (bytes) => {
    parser.parse(bytes);
    pump();
  });
  socket.write(
    generate(
      {
        cmd: 'connect',
        clientId: 'bare',
        protocolVersion: 5,
        protocolId: 'MQTT',
        clean: true,
        keepalive: 0,
      },
      options,
    ),
  );
  const from = performance.now();
  await promise;
  socket.destroy();
  return (payloads.length / (performance.now() - from)) * 1000;
}
