import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import { TLSSocket } from 'node:tls';
import { PlatformError } from '@domicile/core/errors.ts';
import { assert } from '@domicile/core/invariants.ts';
import { problemMediaType, problemOfAny, problemOfStatus } from '@domicile/runtime/problem.ts';
import { type Credentials, enrolAgain, type EnrolmentParts, enrolFirst } from './enrolment.ts';
import { RequestRefused } from './model/request-policy.ts';

export interface EstOptions {
  readonly host: string;
  readonly port: number;
  readonly tls: { readonly cert: Buffer; readonly key: Buffer; readonly ca: Buffer };
  readonly requestsPerMinute: number;
  readonly parts: EnrolmentParts;
}

export interface EstServer extends AsyncDisposable {
  readonly port: number;
}

/** A request of the largest key that is taken has 3 KiB. */
const bodyBytesMax = 16 * 1024;
const headerBytesMax = 8 * 1024;
const requestTimeoutMs = 10_000;
const handshakeTimeoutMs = 10_000;
const connectionsMax = 256;
const drainTimeoutMs = 2000;
const minuteMs = 60_000;
const root = '/.well-known/est';
const lineChars = 64;

/** Enrolment over Secure Transport (RFC 7030): `/cacerts`, `/simpleenroll`, `/simplereenroll` and an empty `/csrattrs`. */
export async function startEst(options: EstOptions): Promise<EstServer> {
  const { host, port, tls } = options;
  const answer = answerer(options);
  const server = createServer(
    {
      ...tls,
      minVersion: 'TLSv1.2',
      requestCert: true,
      // Who has none may enrol by a token; who renews must show one, and it is judged there.
      rejectUnauthorized: false,
      handshakeTimeout: handshakeTimeoutMs,
      maxHeaderSize: headerBytesMax,
      headersTimeout: requestTimeoutMs,
      requestTimeout: requestTimeoutMs,
    },
    (request, response) => void answer(request, response),
  );
  server.maxConnections = connectionsMax;
  server.on('tlsClientError', (_error, socket) => socket.destroy());
  server.listen({ host, port });
  await once(server, 'listening');
  const address = server.address();
  assert(address !== null && typeof address === 'object', 'A listening server has an address');
  return { port: address.port, [Symbol.asyncDispose]: () => close(server) };
}

async function close(server: Server): Promise<void> {
  const closed = once(server, 'close');
  server.close();
  server.closeIdleConnections();
  const cut = setTimeout(() => server.closeAllConnections(), drainTimeoutMs);
  await closed;
  clearTimeout(cut);
}

function answerer({ parts, requestsPerMinute }: EstOptions) {
  const admit = minuteLimit(requestsPerMinute);
  return async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    response.setHeader('X-Request-Id', randomUUID());
    response.setHeader('Cache-Control', 'no-store');
    try {
      if (!admit())
        throw new RequestRefused('limited', 'RATE_LIMITED', 'Cannot answer now: too many requests');
      await route(parts, request, response);
    } catch (error) {
      refuse(parts, { request, response, error });
    }
  };
}

/** True as long as fewer came within the minute. */
function minuteLimit(max: number): () => boolean {
  let from = -Infinity;
  let count = 0;
  return () => {
    if (performance.now() - from > minuteMs) {
      from = performance.now();
      count = 0;
    }
    count += 1;
    return count <= max;
  };
}

async function route(
  parts: EnrolmentParts,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const [path = ''] = (request.url ?? '').split('?', 1);
  const method = request.method === 'HEAD' ? 'GET' : request.method;
  const allowed = { cacerts: 'GET', csrattrs: 'GET', simpleenroll: 'POST', simplereenroll: 'POST' };
  const name = Object.entries(allowed).find(([known]) => path === `${root}/${known}`)?.[0];
  if (name === undefined)
    throw new PlatformError('NOT_FOUND', 'Cannot find it: there is nothing at this address');
  const needed = name === 'cacerts' || name === 'csrattrs' ? 'GET' : 'POST';
  if (method !== needed) {
    response.setHeader('Allow', needed);
    throw new PlatformError('METHOD_NOT_ALLOWED', `Cannot do it: the method here is ${needed}`);
  }
  if (name === 'cacerts') sendCertificates(response, parts.authority.bundle, '');
  else if (name === 'csrattrs') response.writeHead(204).end();
  else {
    const body = await bodyOf(request);
    const granted =
      name === 'simpleenroll'
        ? await enrolFirst(parts, basicOf(request), body)
        : await enrolAgain(parts, provenUrisOf(request), body);
    sendCertificates(response, granted, '; smime-type=certs-only');
  }
}

function sendCertificates(response: ServerResponse, der: Buffer, parameters: string): void {
  const text = der.toString('base64').replaceAll(new RegExp(`.{1,${lineChars}}`, 'g'), '$&\r\n');
  response.writeHead(200, {
    'Content-Type': `application/pkcs7-mime${parameters}`,
    'Content-Transfer-Encoding': 'base64',
    'Content-Length': Buffer.byteLength(text),
  });
  response.end(text);
}

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const [type = ''] = (request.headers['content-type'] ?? '').split(';', 1);
  if (type.trim().toLowerCase() !== 'application/pkcs10')
    throw new PlatformError('MEDIA_TYPE_UNSUPPORTED', 'Cannot read it: send application/pkcs10');
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of request.iterator({ destroyOnReturn: false })) {
    if (!Buffer.isBuffer(part)) continue;
    bytes += part.length;
    if (bytes > bodyBytesMax)
      throw new PlatformError('PAYLOAD_TOO_LARGE', problemOfStatus(413).detail);
    parts.push(part);
  }
  return Buffer.concat(parts);
}

function basicOf(request: IncomingMessage): Credentials | undefined {
  const [, encoded] =
    /^Basic ([A-Za-z0-9+/=_-]+)$/i.exec(request.headers.authorization ?? '') ?? [];
  if (encoded === undefined) return undefined;
  const text = Buffer.from(encoded, 'base64').toString();
  const colon = text.indexOf(':');
  return colon < 0
    ? undefined
    : { user: text.slice(0, colon), password: text.slice(colon + 1).trim() };
}

/** Undefined without a certificate of the cell's authority that is valid now. */
function provenUrisOf({ socket }: IncomingMessage): readonly string[] | undefined {
  if (!(socket instanceof TLSSocket) || !socket.authorized) return undefined;
  // Node quotes a name that holds a comma, so that none can be smuggled in by another.
  const names = socket.getPeerX509Certificate()?.subjectAltName?.split(', ') ?? [];
  return names.filter((name) => name.startsWith('URI:')).map((name) => name.slice(4));
}

function refuse(
  { events }: EnrolmentParts,
  {
    request,
    response,
    error,
  }: { request: IncomingMessage; response: ServerResponse; error: unknown },
): void {
  if (error instanceof RequestRefused) events.refused(error.refusal);
  else if (!(error instanceof PlatformError)) events.failed(error);
  if (response.headersSent || response.destroyed) {
    response.destroy();
    return;
  }
  const answer = problemOfAny(error);
  if (answer.status === 401 && request.url?.endsWith('/simpleenroll'))
    response.setHeader('WWW-Authenticate', 'Basic realm="domicile enrolment", charset="UTF-8"');
  if (answer.status === 429) response.setHeader('Retry-After', '60');
  // What is left of a body that was not read is not waited for.
  if (!request.complete) response.setHeader('Connection', 'close');
  response.writeHead(answer.status, { 'Content-Type': problemMediaType });
  response.end(JSON.stringify(answer));
}
