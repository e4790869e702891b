import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { z } from 'zod';

/** By what the issuer knows who asks: a token, or the certificate that is renewed. */
export type Proof =
  | { readonly user: string; readonly password: string }
  | { readonly cert: string; readonly key: string };

export interface EstRequest {
  /** `https://host:port`, perhaps with a path before `/.well-known/est`. */
  readonly url: string;
  readonly ca: Buffer | undefined;
  readonly proof: Proof;
  /** PKCS#10, DER. */
  readonly request: Buffer;
}

/** The issuer answered, and not with a certificate. */
export class EnrolmentRefused extends Error {
  override readonly name = 'EnrolmentRefused';
  readonly status: number;

  constructor(status: number, detail: string) {
    super(`Cannot enrol: the issuer answers ${status}: ${detail}`);
    this.status = status;
  }
}

const timeoutMs = 15_000;
const answerBytesMax = 64 * 1024;
const problemSchema = z.object({ detail: z.string().max(500) });

/** RFC 7030, 4.2: `simpleenroll` by a token, `simplereenroll` by a certificate. Gives PKCS#7 in base64. */
export async function postRequest(of: EstRequest, signal: AbortSignal): Promise<string> {
  const operation = 'user' in of.proof ? 'simpleenroll' : 'simplereenroll';
  const address = `${of.url.replace(/\/$/, '')}/.well-known/est/${operation}`;
  const answer = await post(address, of, signal);
  const elsewhere = redirectOf(answer, of.proof);
  return elsewhere === undefined ? contentOf(answer) : contentOf(await post(elsewhere, of, signal));
}

/**
 * A front door cannot see the certificate of a connection and names the issuer. It is followed once, and never with a token: the
 * certificate proves itself to the same authority without giving anything away.
 */
function redirectOf(answer: IncomingMessage, proof: Proof): string | undefined {
  const { statusCode, headers } = answer;
  const isRedirect = statusCode === 307 || statusCode === 308;
  if (!isRedirect || 'user' in proof || !headers.location?.startsWith('https://')) return undefined;
  answer.resume();
  return headers.location;
}

async function post(
  address: string,
  of: EstRequest,
  signal: AbortSignal,
): Promise<IncomingMessage> {
  const { ca, proof, request } = of;
  const body = request.toString('base64').replaceAll(/.{1,64}/g, '$&\r\n');
  const sent = httpsRequest(address, {
    method: 'POST',
    agent: false,
    signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
    headers: {
      'Content-Type': 'application/pkcs10',
      'Content-Transfer-Encoding': 'base64',
      'Content-Length': Buffer.byteLength(body),
    },
    ...(ca && { ca }),
    ...('user' in proof ? { auth: `${proof.user}:${proof.password}` } : proof),
  });
  sent.end(body);
  return answerTo(sent);
}

async function contentOf(answer: IncomingMessage): Promise<string> {
  const text = await textOf(answer);
  if (answer.statusCode === 200) return text;
  throw new EnrolmentRefused(answer.statusCode ?? 0, detailOf(text));
}

async function answerTo(sent: ReturnType<typeof httpsRequest>): Promise<IncomingMessage> {
  const [answer]: IncomingMessage[] = await once(sent, 'response');
  if (answer) return answer;
  throw new Error('Cannot enrol: the issuer does not answer');
}

async function textOf(answer: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of answer) {
    if (!Buffer.isBuffer(part)) continue;
    bytes += part.length;
    if (bytes > answerBytesMax)
      throw new Error('Cannot enrol: the answer of the issuer is too long');
    parts.push(part);
  }
  return Buffer.concat(parts).toString();
}

function detailOf(text: string): string {
  try {
    return problemSchema.parse(JSON.parse(text)).detail;
  } catch {
    return 'it does not say why';
  }
}
