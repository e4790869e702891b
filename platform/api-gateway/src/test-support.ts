import { generateKeyPairSync, type KeyObject, randomUUID } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type RequestListener } from 'node:http';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { must } from '@domicile/core/invariants.ts';
import { scopes } from '@domicile/runtime/claims.ts';
import jwt from 'jsonwebtoken';
import { newApiKey } from './api-keys.ts';
import { readConfig } from './config.ts';
import { type GatewayService, startGateway } from './start.ts';

export const issuer = 'https://issuer.example';
/** By the service behind that knows the door by it. */
export const secrets = {
  serving: 's'.repeat(40),
  residency: 's'.repeat(40),
  raw: 'r'.repeat(40),
  commands: 'c'.repeat(40),
};
export const webOrigin = 'http://127.0.0.1:4999';
export const usCell = 'https://us.example';

export interface TestKey {
  readonly kid: string;
  readonly alg: 'ES256' | 'RS256';
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
}

export const keys = {
  es: testKey('ES256'),
  rs: testKey('RS256'),
  /** Never published. */
  forger: testKey('ES256'),
};

function testKey(alg: TestKey['alg']): TestKey {
  const pair =
    alg === 'ES256'
      ? generateKeyPairSync('ec', { namedCurve: 'P-256' })
      : generateKeyPairSync('rsa', { modulusLength: 2048 });
  return { kid: randomUUID(), alg, ...pair };
}

export const publicJwk = ({ kid, alg, publicKey }: TestKey) =>
  Object.assign(publicKey.export({ format: 'jwk' }), { kid, alg, use: 'sig' });

export const allScopes = scopes.join(' ');

/** A good token of the client `acme` for the cell `de`, except for what `more` says. */
export function tokenOf(more: Record<string, unknown> = {}, key: TestKey = keys.es): string {
  const now = Math.floor(Date.now() / 1000);
  const payload = {
    iss: issuer,
    aud: 'domicile:de',
    sub: 'anna',
    client: 'acme',
    scope: 'summary:read command:write',
    exp: now + 60,
    iat: now,
    ...more,
  };
  const present = Object.fromEntries(Object.entries(payload).filter(([, v]) => v !== undefined));
  const options = { algorithm: key.alg, keyid: key.kid, noTimestamp: true };
  return jwt.sign(present, key.privateKey, options);
}

export interface Seen {
  readonly upstream: string;
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

export interface TestCell extends AsyncDisposable {
  readonly url: string;
  readonly port: number;
  readonly service: GatewayService;
  /** What came through to the services behind. */
  readonly seen: Seen[];
  readonly apiKey: string;
  readonly oldApiKey: string;
  /** Answers for the services behind, instead of telling what was seen. */
  answer: RequestListener | undefined;
  /** How often the key set was asked for. */
  keySetReads: number;
}

/** A front door with the issuer's key set and the services behind it, all tiny and all real. */
export async function startTestCell(settings: Record<string, string> = {}): Promise<TestCell> {
  const folder = await mkdtemp(join(tmpdir(), 'gateway-'));
  await using parts = new AsyncDisposableStack();
  parts.defer(() => rm(folder, { recursive: true }));
  const seen: Seen[] = [];
  const shared: Pick<TestCell, 'answer' | 'keySetReads'> = { answer: undefined, keySetReads: 0 };
  const behind = async (upstream: string) =>
    parts.use(
      await listening((request, response) => {
        void text(request).then((body) => {
          const { method = '', url = '', headers } = request;
          seen.push({ upstream, method, url, headers, body });
          if (shared.answer) return shared.answer(request, response);
          response.setHeader('Content-Type', 'application/json');
          return response.end(JSON.stringify({ upstream }));
        });
      }),
    ).url;
  const keySet = parts.use(
    await listening((_request, response) => {
      shared.keySetReads += 1;
      response.end(JSON.stringify({ keys: [keys.es, keys.rs].map(publicJwk) }));
    }),
  );
  const { apiKey, oldApiKey } = await writeFiles(folder);
  const service = parts.use(
    await startGateway(
      readConfig({
        GATEWAY_COUNTRY: 'DE',
        GATEWAY_PORT: '0',
        GATEWAY_ISSUER: issuer,
        GATEWAY_JWKS: keySet.url,
        GATEWAY_API_KEYS_FILE: join(folder, 'api-keys.json'),
        GATEWAY_INTERNAL_SECRET_FILE: join(folder, 'serving'),
        GATEWAY_RAW_SECRET_FILE: join(folder, 'raw'),
        GATEWAY_COMMANDS_SECRET_FILE: join(folder, 'commands'),
        GATEWAY_SERVING_URL: await behind('serving'),
        GATEWAY_RAW_URL: await behind('raw'),
        GATEWAY_COMMANDS_URL: await behind('commands'),
        GATEWAY_RESIDENCY_URL: await behind('residency'),
        GATEWAY_CELLS: `DE=https://de.example,US=${usCell}`,
        GATEWAY_WEB_ORIGINS: webOrigin,
        ...settings,
      }),
    ),
  );
  const running = parts.move();
  return Object.assign(shared, {
    url: service.url,
    port: Number(new URL(service.url).port),
    service,
    seen,
    apiKey,
    oldApiKey,
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  });
}

async function writeFiles(folder: string) {
  const good = newApiKey();
  const old = newApiKey();
  const entry = { client: '*', scopes: ['raw:read'], expiresAt: '2099-01-01T00:00:00Z' };
  const entries = [
    { ...entry, id: 'nightly-report', sha256: good.sha256 },
    { ...entry, id: 'old', sha256: old.sha256, expiresAt: '2020-01-01T00:00:00Z' },
  ];
  await writeFile(join(folder, 'api-keys.json'), JSON.stringify({ keys: entries }));
  for (const name of ['serving', 'raw', 'commands'] as const)
    await writeFile(join(folder, name), `${secrets[name]}\n`);
  return { apiKey: good.key, oldApiKey: old.key };
}

export async function listening(
  listener: RequestListener,
): Promise<{ readonly url: string; readonly port: number } & AsyncDisposable> {
  const server = createServer(listener);
  const { promise, resolve } = Promise.withResolvers<void>();
  server.listen(0, '127.0.0.1', resolve);
  await promise;
  const address = server.address();
  const port = must(typeof address === 'object' ? address?.port : undefined, 'A port');
  return {
    port,
    url: `http://127.0.0.1:${port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
    },
  };
}

/** Sends bytes as they are, since a client library would tidy them first. What is answered before a reset counts. */
export async function rawly(port: number, head: string, body = ''): Promise<string> {
  const socket = connect({ port, host: '127.0.0.1' });
  socket.setTimeout(5_000, () => socket.destroy(new Error('no answer')));
  socket.write(`${head.trim().replaceAll('\n', '\r\n')}\r\nConnection: close\r\n\r\n${body}`);
  let answer = '';
  try {
    for await (const chunk of socket.setEncoding('utf8')) answer += String(chunk);
  } catch (error) {
    if (answer === '') throw error;
  }
  return answer;
}
