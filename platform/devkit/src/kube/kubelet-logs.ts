import { once } from 'node:events';
import { createReadStream, existsSync, statSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import { setTimeout as sleep } from 'node:timers/promises';
import { createAuthority } from '@domicile/runtime/certificates.ts';
import { issueCertificate, loopbackNames } from '../certificates.ts';

const pollMs = 250;

/** What `kubectl logs` is answered with, by way of the API server: the output of a container, and what comes with `-f`. */
export class KubeletLogs implements AsyncDisposable {
  readonly port: number;
  readonly #server: Server;

  static async start(
    fileOf: (namespace: string, pod: string, container: string) => string,
  ): Promise<KubeletLogs> {
    const authority = await createAuthority('kubelet');
    const request = { name: 'kubelet', names: loopbackNames };
    const { certificate, key } = await issueCertificate(authority, request);
    const server = createServer({ cert: certificate, key }, (asked, response) => {
      void answer(asked, response, fileOf).catch(() => response.destroy());
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    return new KubeletLogs(server, port);
  }

  private constructor(server: Server, port: number) {
    this.#server = server;
    this.port = port;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }
}

async function answer(
  { url = '/' }: IncomingMessage,
  response: ServerResponse,
  fileOf: (namespace: string, pod: string, container: string) => string,
): Promise<void> {
  const { pathname, searchParams } = new URL(url, 'https://kubelet');
  const [, what, namespace = '', pod = '', container = ''] = pathname
    .split('/')
    .map(decodeURIComponent);
  if (what !== 'containerLogs') return void response.writeHead(404).end('only logs are served\n');
  const file = fileOf(namespace, pod, container);
  response.writeHead(200, { 'content-type': 'text/plain' });
  if (!existsSync(file)) return void response.end();
  const lines = searchParams.get('tailLines');
  const from = lines === null ? 0 : await tailOf(file, Number(lines));
  if (searchParams.get('follow') === 'true') return follow(file, from, response);
  createReadStream(file, { start: from }).pipe(response);
}

/** Where the last lines begin. */
async function tailOf(file: string, lines: number): Promise<number> {
  const content = await readFile(file);
  let at = content.length;
  for (let found = 0; at > 0; at -= 1) {
    if (content[at - 1] !== 10 || at === content.length) continue;
    found += 1;
    if (found === lines) break;
  }
  return lines === 0 ? content.length : at;
}

async function follow(file: string, from: number, response: ServerResponse): Promise<void> {
  let position = from;
  while (!response.destroyed && response.socket?.destroyed !== true) {
    const { size } = statSync(file);
    if (size > position) {
      const more = createReadStream(file, { start: position, end: size - 1 });
      for await (const chunk of more) response.write(chunk);
      position = size;
    }
    await sleep(pollMs);
  }
}
