import { once } from 'node:events';
import { mkdtempDisposable, writeFile } from 'node:fs/promises';
import type { RequestListener, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createCertificates } from '@domicile/devkit/certificates.ts';
import { expect, test } from 'vitest';
import { startTestCell } from './test-support.ts';

/** A front door before an issuer of certificates that answers as a test says. */
async function doorBefore(issuer: (line: Socket) => RequestListener) {
  await using parts = new AsyncDisposableStack();
  const folder = parts.use(await mkdtempDisposable(join(tmpdir(), 'est-')));
  const { authority, broker } = await createCertificates([]);
  const server = createServer({ cert: broker.certificate, key: broker.key });
  server.on('connection', (line: Socket) => server.once('request', issuer(line)));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  parts.defer(() => {
    server.closeAllConnections();
    server.close();
  });
  const address = server.address();
  const port = typeof address === 'object' ? address?.port : undefined;
  const caFile = join(folder.path, 'ca.pem');
  await writeFile(caFile, authority.certificate);
  const settings = { GATEWAY_EST_URL: `https://127.0.0.1:${port}`, GATEWAY_EST_CA_FILE: caFile };
  const cell = parts.use(await startTestCell(settings));
  const running = parts.move();
  return {
    ask: (path: string) => fetch(`${cell.url}/.well-known/est${path}`),
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}

test('an issuer that goes amid its answer, or says too much, is a problem and no end of the door', async () => {
  const ends: ((line: Socket, response: ServerResponse) => void)[] = [
    (line) => line.resetAndDestroy(),
    (line) => line.destroy(),
    (_line, response) => response.end('x'.repeat(64 * 1024)),
  ];
  const turns = ends.values();
  await using door = await doorBefore((line) => (_request, response) => {
    const end = turns.next().value;
    response.writeHead(200, { connection: 'close' });
    if (end) response.write('half', () => end(line, response));
    else response.end('authorities');
  });
  for (const _ of ends) expect((await door.ask('/cacerts')).status).toBe(503);
  const answer = await door.ask('/cacerts');
  expect([answer.status, await answer.text()]).toEqual([200, 'authorities']);
});
