import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { connectAsync, type IClientOptions } from 'mqtt';
import { expect, test } from 'vitest';
import type { InboundMessage, MqttOwner } from './owner.ts';
import { MqttServer, type MqttServerOptions } from './server.ts';

test('a message is acked once the owner took it, by both versions', async () => {
  await using house = await open({});
  for (const protocolVersion of [4, 5] as const) {
    const client = await house.client({ protocolVersion });
    await client.publishAsync('a/b', 'one', { qos: 1 });
    await client.publishAsync('a/b', 'two', { qos: 2 });
    await client.endAsync();
  }
  expect(house.messages.map(({ payload }) => payload.toString())).toEqual([
    'one',
    'two',
    'one',
    'two',
  ]);
});

async function open(
  owner: Partial<MqttOwner<string, Socket>>,
  limits: MqttServerOptions['limits'] = {},
) {
  const messages: InboundMessage[] = [];
  const server = new MqttServer<string, Socket>(
    {
      authenticate: async ({ clientId }) => ({ admitted: true, key: clientId, identity: clientId }),
      publish: async (_session, message) => {
        messages.push(message);
        return 0;
      },
      subscribe: (_session, _filter, qos) => Math.min(qos, 1),
      will: (_session, message) => messages.push(message),
      ...owner,
    },
    { limits },
  );
  const listener = createServer((socket) => server.serve(socket, socket)).listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const port = portOf(listener);
  return {
    server,
    port,
    messages,
    client: (options: IClientOptions = {}) =>
      connectAsync(`mqtt://127.0.0.1:${port}`, { reconnectPeriod: 0, ...options }),
    async [Symbol.asyncDispose]() {
      server[Symbol.dispose]();
      listener.close();
      await once(listener, 'close');
    },
  };
}

function portOf(listener: Server): number {
  const address = listener.address();
  if (address === null || typeof address === 'string') throw new Error('not listening on a port');
  return address.port;
}
