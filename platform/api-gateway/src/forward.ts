import { once } from 'node:events';
import { Agent, request as httpRequest, type IncomingMessage } from 'node:http';
import { PlatformError } from '@domicile/core/errors.ts';
import { stoppingOf } from '@domicile/runtime/http.ts';
import type { Request, Response } from 'express';

export interface Forwarding {
  /** Scheme, host and port of the service behind. */
  readonly address: string;
  /** Path and query, made anew of what was judged. */
  readonly target: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer | undefined;
  readonly isStream: boolean;
  /** Until the answer begins, and between its parts. */
  readonly timeoutMs: number;
}

export type Forward = (
  request: Request,
  response: Response,
  forwarding: Forwarding,
) => Promise<void>;

const socketsMax = 256;
const freeSocketsMax = 64;
/** Streams say something at least every 15 s. */
const streamIdleMs = 60_000;

/** What the service behind says of itself or of the connection is not for outside. */
const withheld = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'server',
  'set-cookie',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'x-powered-by',
  'x-request-id',
  'content-security-policy',
]);

/**
 * Passes a request on and its answer back, part by part as it comes. When the client goes the service
 * behind is told; when the service goes before its answer begins, `UPSTREAM_UNAVAILABLE` is thrown.
 */
export function forwarder(streamsMax: number): Forward & Disposable {
  const agent = new Agent({
    keepAlive: true,
    maxSockets: socketsMax,
    maxFreeSockets: freeSocketsMax,
  });
  const streamAgent = new Agent({ keepAlive: false, maxSockets: streamsMax });
  const forward: Forward = async (request, response, forwarding) => {
    const gone = new AbortController();
    response.once('close', () => {
      if (!response.writableFinished) gone.abort();
    });
    // It may have gone while it was judged: then nothing tells of it any more.
    if (response.destroyed) gone.abort();
    const signal = forwarding.isStream
      ? AbortSignal.any([gone.signal, stoppingOf(request)])
      : gone.signal;
    const send = () =>
      answerTo(request.method, forwarding, {
        agent: forwarding.isStream ? streamAgent : agent,
        signal,
      });
    // A kept connection may be closed at the very moment it is used; reading again does no harm.
    const answer = await send().catch((error: unknown) => {
      if (request.method === 'POST' || !isStale(error) || signal.aborted) throw error;
      return send();
    });
    await passBack(answer, response, signal);
  };
  return Object.assign(forward, {
    [Symbol.dispose]() {
      agent.destroy();
      streamAgent.destroy();
    },
  });
}

interface Line {
  readonly agent: Agent;
  readonly signal: AbortSignal;
}

async function answerTo(
  method: string,
  { address, target, headers, body, isStream, timeoutMs }: Forwarding,
  { agent, signal }: Line,
): Promise<IncomingMessage> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const outgoing = httpRequest(new URL(target, address), { method, headers, agent, signal });
  const tooSlow = () => outgoing.destroy(unavailable('the service behind takes too long'));
  const untilHead = setTimeout(tooSlow, timeoutMs);
  outgoing.setTimeout(isStream ? streamIdleMs : timeoutMs, tooSlow);
  outgoing.once('response', resolve);
  outgoing.once('error', reject);
  outgoing.end(body);
  try {
    return await promise;
  } catch (error) {
    if (error instanceof PlatformError) throw error;
    const cause = Object.assign(new Error('no answer', { cause: error }), {
      isStale: outgoing.reusedSocket && isReset(error),
    });
    throw unavailable('the service behind is not there', cause);
  } finally {
    clearTimeout(untilHead);
  }
}

async function passBack(
  answer: IncomingMessage,
  response: Response,
  signal: AbortSignal,
): Promise<void> {
  if (answer.statusCode === 401) {
    answer.destroy();
    throw unavailable('the service behind does not know this door');
  }
  for (const [name, value] of Object.entries(answer.headers))
    if (value !== undefined && !withheld.has(name) && !name.startsWith('access-control-'))
      response.setHeader(name, value);
  response.status(answer.statusCode ?? 502);
  response.flushHeaders();
  try {
    for await (const part of answer)
      if (!response.write(part)) await once(response, 'drain', { signal });
  } catch (error) {
    // The client went, or this process stops: then what was sent is all there is.
    if (!signal.aborted) throw error;
  }
  response.end();
}

function unavailable(reason: string, cause?: Error): PlatformError {
  return new PlatformError('UPSTREAM_UNAVAILABLE', `Cannot answer: ${reason}`, { cause });
}

function isReset(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ECONNRESET';
}

function isStale(error: unknown): boolean {
  const cause = error instanceof PlatformError ? error.cause : undefined;
  return cause instanceof Error && 'isStale' in cause && cause.isStale === true;
}
