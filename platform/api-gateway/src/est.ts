import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { PlatformError } from '@domicile/core/errors.ts';
import { addRoute } from '@domicile/runtime/http-route.ts';
import { type Request, type RequestHandler, type Response, Router } from 'express';

export interface EstOptions {
  /** The issuer, by https; undefined: this cell has none. */
  readonly url: string | undefined;
  /** The issuer as gateways reach it; undefined: by the same address. */
  readonly renewalUrl: string | undefined;
  /** PEM of the authority that vouches for it. */
  readonly ca: Buffer | undefined;
}

const timeoutMs = 20_000;
const bodyBytesMax = 16 * 1024;
const passedOn = ['authorization', 'content-type', 'content-transfer-encoding'] as const;
const passedBack = [
  'content-type',
  'content-transfer-encoding',
  'www-authenticate',
  'retry-after',
] as const;

/**
 * Enrolment (RFC 7030) below `/.well-known/est`. It has credentials of its own, so it does not pass the door's. Authorities and
 * first enrolments are passed on to the issuer; a renewal proves itself by the certificate of its connection, which does not come
 * through, so it is sent to the issuer itself.
 */
export function estRoutes({ url, renewalUrl, ca }: EstOptions): Router {
  const router = Router();
  if (url === undefined) {
    router.use(() => {
      throw new PlatformError('NOT_BUILT', 'Cannot enrol: this cell issues no certificates');
    });
    return router;
  }
  const pass = passTo(url, ca);
  addRoute(router, '/cacerts', { GET: pass });
  addRoute(router, '/csrattrs', { GET: pass });
  addRoute(router, '/simpleenroll', { POST: pass });
  addRoute(router, '/simplereenroll', {
    POST: (_request, response) => {
      response.setHeader('Location', `${renewalUrl ?? url}/.well-known/est/simplereenroll`);
      response.status(308).end();
    },
  });
  return router;
}

function passTo(url: string, ca: Buffer | undefined): RequestHandler {
  return async (request, response) => {
    const [path = ''] = request.path.split('?', 1);
    const body = request.method === 'POST' ? await bodyOf(request) : undefined;
    const outgoing = httpsRequest(`${url}/.well-known/est${path}`, {
      method: request.method,
      headers: { ...chosen(request), ...(body && { 'content-length': `${body.length}` }) },
      signal: AbortSignal.timeout(timeoutMs),
      ...(ca && { ca }),
    });
    outgoing.end(body);
    passBack(await answerTo(outgoing), response);
  };
}

function chosen(request: Request): Record<string, string> {
  return Object.fromEntries(
    passedOn.flatMap((name) => {
      const value = request.get(name);
      return value === undefined ? [] : [[name, value] as const];
    }),
  );
}

interface Answer {
  readonly head: IncomingMessage;
  readonly body: Buffer;
}

async function answerTo(outgoing: ReturnType<typeof httpsRequest>): Promise<Answer> {
  // A connection that breaks after the head is told here too, and what nobody hears ends the process.
  outgoing.on('error', () => undefined);
  try {
    const [head]: IncomingMessage[] = await once(outgoing, 'response');
    if (head) return { head, body: await bodyOf(head) };
    throw new Error('no answer');
  } catch (cause) {
    outgoing.destroy();
    throw new PlatformError('UPSTREAM_UNAVAILABLE', 'Cannot enrol: the issuer does not answer', {
      cause,
    });
  }
}

function passBack({ head, body }: Answer, response: Response): void {
  for (const name of passedBack) {
    const value = head.headers[name];
    if (value !== undefined) response.setHeader(name, value);
  }
  response.status(head.statusCode ?? 502).end(body);
}

async function bodyOf(message: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of message.iterator({ destroyOnReturn: false })) {
    if (!Buffer.isBuffer(part)) continue;
    bytes += part.length;
    if (bytes > bodyBytesMax)
      throw new PlatformError('PAYLOAD_TOO_LARGE', 'Cannot enrol: the body is too large');
    parts.push(part);
  }
  return Buffer.concat(parts);
}
