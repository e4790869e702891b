import { once } from 'node:events';
import { Agent as HttpAgent, type IncomingMessage, request as httpRequest } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { PlatformError } from '@domicile/core/errors.ts';
import type { KubeAccess } from './kube-access.ts';
import { errorOfAnswer, errorOfConnection } from './kube-errors.ts';

export interface HttpCall {
  readonly method: 'GET' | 'POST' | 'PATCH' | 'DELETE';
  readonly path: string;
  readonly query?: Readonly<Record<string, string | undefined>>;
  readonly body?: unknown;
  readonly contentType?: string;
  /** To the end of the answer; of a stream, to its head. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal | undefined;
  /** For messages: `read the pod x`. */
  readonly doing: string;
  /** Called right before anything is sent; what it throws is thrown. */
  readonly fence?: () => void;
}

export interface KubeHttpOptions {
  readonly access: KubeAccess;
  readonly userAgent: string;
  /** `code` is a status, or `<error>` as client-go says it when there was no answer. */
  readonly observe?: (method: string, code: string) => void;
  readonly connectionsMax?: number;
  readonly timeoutMs?: number;
}

/** The API server holds back the first writes to a new kind for two seconds. */
const timeoutMsDefault = 15_000;
const connectionsMaxDefault = 32;
/** A page of 250 objects of a quarter of a megabyte each. */
const answerCharsMax = 64 << 20;
const keepAliveMs = 15_000;

interface Exchange {
  readonly response: IncomingMessage;
  /** Why we cut it, if we did. */
  readonly reason: () => Error | undefined;
  /** No limit any more. */
  readonly settle: () => void;
}

/** Requests to one API server: connections kept and bounded, each request with a limit of time, credentials renewed. */
export class KubeHttp implements Disposable {
  readonly #options: KubeHttpOptions;
  readonly #agent: HttpAgent | HttpsAgent;
  /** Each watch has a connection of its own. */
  readonly #streams: HttpAgent | HttpsAgent;

  constructor(options: KubeHttpOptions) {
    const { access, connectionsMax = connectionsMaxDefault } = options;
    this.#options = options;
    const isTls = access.server.protocol === 'https:';
    const kept = { keepAlive: true, keepAliveMsecs: keepAliveMs, maxSockets: connectionsMax };
    this.#agent = isTls ? new HttpsAgent({ ...kept, ...access.tls }) : new HttpAgent(kept);
    this.#streams = isTls ? new HttpsAgent({ ...access.tls }) : new HttpAgent();
  }

  /** The body of a success, parsed. Throws as `Kube` does. */
  async call(call: HttpCall): Promise<unknown> {
    try {
      return await this.#callOnce(call, false);
    } catch (error) {
      const isRefused = isStatus(error, 401);
      // The server closed an idle connection as we took it. What creates is not tried twice.
      const isStale = error instanceof StaleConnection && call.method !== 'POST';
      if (!isRefused && !isStale) throw causeOf(error);
      if (isStale) this.#dropIdle();
      return this.#callOnce(call, isRefused).catch((again: unknown) => {
        throw causeOf(again);
      });
    }
  }

  /** A success whose body is still to come; whoever asks for it destroys it. */
  async stream(call: HttpCall): Promise<IncomingMessage> {
    const { response, settle } = await this.#exchange(call, this.#streams, false);
    this.#options.observe?.(call.method, `${response.statusCode}`);
    if (response.statusCode === 200) {
      settle();
      return response;
    }
    const text = await textOf(response).catch(() => '');
    settle();
    if (response.statusCode === 401) await this.#options.access.authorization(true);
    throw answerError(response, text, call.doing);
  }

  [Symbol.dispose](): void {
    this.#agent.destroy();
    this.#streams.destroy();
  }

  async #callOnce(call: HttpCall, isRefused: boolean): Promise<unknown> {
    const { response, reason, settle } = await this.#exchange(call, this.#agent, isRefused);
    try {
      const text = await textOf(response);
      const status = response.statusCode ?? 0;
      this.#options.observe?.(call.method, `${status}`);
      if (status < 200 || status > 299) throw answerError(response, text, call.doing);
      return parseAnswer(text);
    } catch (error) {
      response.destroy();
      throw unlessAborted(reason() ?? error, call.doing);
    } finally {
      settle();
    }
  }

  async #exchange(
    call: HttpCall,
    agent: HttpAgent | HttpsAgent,
    isRefused: boolean,
  ): Promise<Exchange> {
    const { access, userAgent, observe } = this.#options;
    const authorization = await access.authorization(isRefused).catch((error: unknown) => {
      throw errorOfConnection(error, `${call.doing} without credentials`);
    });
    call.signal?.throwIfAborted();
    const body = call.body === undefined ? undefined : JSON.stringify(call.body);
    call.fence?.();
    const send = access.server.protocol === 'https:' ? httpsRequest : httpRequest;
    const request = send(urlOf(access.server, call), {
      method: call.method,
      agent,
      headers: {
        Accept: 'application/json',
        'User-Agent': userAgent,
        ...(authorization !== undefined && { Authorization: authorization }),
        ...(body !== undefined && {
          'Content-Type': call.contentType ?? 'application/json',
          'Content-Length': Buffer.byteLength(body),
        }),
      },
    });
    let reason: Error | undefined;
    const cut = (why: Error) => {
      reason ??= why;
      request.destroy(why);
    };
    const timeoutMs = call.timeoutMs ?? this.#options.timeoutMs ?? timeoutMsDefault;
    const timer = setTimeout(() => {
      this.#dropIdle();
      cut(new Error(`nothing within ${timeoutMs} ms`));
    }, timeoutMs);
    const abort = () => cut(abortError());
    call.signal?.addEventListener('abort', abort, { once: true });
    const settle = () => {
      clearTimeout(timer);
      call.signal?.removeEventListener('abort', abort);
    };
    request.on('error', () => {});
    const head = once(request, 'response');
    if (call.signal?.aborted === true) abort();
    else request.end(body);
    try {
      const [response] = (await head) satisfies unknown[];
      return { response: responseOf(response), reason: () => reason, settle };
    } catch (error) {
      settle();
      if (!isAbort(reason ?? error)) observe?.(call.method, '<error>');
      const told = unlessAborted(reason ?? error, call.doing);
      throw request.reusedSocket && reason === undefined ? new StaleConnection(told) : told;
    }
  }

  /** Where one connection is silent or stale, those that lie idle are believed no longer. */
  #dropIdle(): void {
    for (const socket of Object.values(this.#agent.freeSockets).flatMap((idle) => idle ?? []))
      socket.destroy();
  }
}

/** A kept connection was found closed. */
class StaleConnection extends Error {
  readonly error: unknown;

  constructor(error: unknown) {
    super('A kept connection was closed');
    this.error = error;
  }
}

function causeOf(error: unknown): unknown {
  return error instanceof StaleConnection ? error.error : error;
}

function urlOf(server: URL, { path, query = {} }: HttpCall): URL {
  const url = new URL(server.pathname.replace(/\/$/, '') + path, server);
  for (const [name, value] of Object.entries(query))
    if (value !== undefined) url.searchParams.set(name, value);
  return url;
}

function answerError(response: IncomingMessage, text: string, doing: string): PlatformError {
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    body = { message: text.slice(0, 300) };
  }
  const after = Number(response.headers['retry-after']);
  const error = errorOfAnswer(response.statusCode ?? 0, body, doing);
  if (!(after > 0)) return error;
  return new PlatformError(error.code, error.message, {
    details: { ...error.details, retryAfterMs: after * 1_000 },
  });
}

async function textOf(response: IncomingMessage): Promise<string> {
  let text = '';
  response.setEncoding('utf8');
  for await (const chunk of response) {
    text += String(chunk);
    if (text.length > answerCharsMax) throw new Error('the answer is too large');
  }
  if (!response.complete) throw new Error('the answer was cut');
  return text;
}

function parseAnswer(text: string): unknown {
  return text === '' ? undefined : JSON.parse(text);
}

function responseOf(response: unknown): IncomingMessage {
  if (isResponse(response)) return response;
  throw new Error('Node gave no response');
}

function isResponse(response: unknown): response is IncomingMessage {
  return typeof response === 'object' && response !== null && 'statusCode' in response;
}

function unlessAborted(error: unknown, doing: string): unknown {
  return isAbort(error) ? error : errorOfConnection(error, doing);
}

function isStatus(error: unknown, status: number): boolean {
  return error instanceof PlatformError && error.details['status'] === status;
}

function isAbort(error: unknown): boolean {
  return error instanceof Error && error.name === 'AbortError';
}

function abortError(): Error {
  return new DOMException('The request was aborted', 'AbortError');
}
