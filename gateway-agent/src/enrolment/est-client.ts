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
  const { url, ca, proof, request } = of;
  const isFirst = 'user' in proof;
  const operation = isFirst ? 'simpleenroll' : 'simplereenroll';
  const body = request.toString('base64').replaceAll(/.{1,64}/g, '$&\r\n');
  const sent = httpsRequest(`${url.replace(/\/$/, '')}/.well-known/est/${operation}`, {
    method: 'POST',
    agent: false,
    signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
    headers: {
      'Content-Type': 'application/pkcs10',
      'Content-Transfer-Encoding': 'base64',
      'Content-Length': Buffer.byteLength(body),
    },
    ...(ca && { ca }),
    ...(isFirst ? { auth: `${proof.user}:${proof.password}` } : proof),
  });
  sent.end(body);
  const answer = await answerTo(sent);
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
