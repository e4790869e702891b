import { PlatformError } from '@domicile/core/errors.ts';
import { problemOfStatus } from '@domicile/runtime/problem.ts';
import type { Request } from 'express';

const bodyBytesMax = 256 * 1024;

/** The body of a POST, whole and bounded; undefined for methods that have none. */
export async function readBody(request: Request): Promise<Buffer | undefined> {
  const declared = Number(request.headers['content-length'] ?? 0);
  const hasBody = declared > 0 || request.headers['transfer-encoding'] !== undefined;
  if (request.method !== 'POST') {
    if (hasBody) throw new PlatformError('VALUE_INVALID', 'Cannot read it: this takes no body');
    return undefined;
  }
  if (request.is('application/json') === false)
    throw new PlatformError('MEDIA_TYPE_UNSUPPORTED', problemOfStatus(415).detail);
  const encoding = request.headers['content-encoding'];
  if (encoding !== undefined && encoding !== 'identity')
    throw new PlatformError('MEDIA_TYPE_UNSUPPORTED', problemOfStatus(415).detail);
  if (declared > bodyBytesMax) throw tooLarge();
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of request.iterator({ destroyOnReturn: false })) {
    if (!Buffer.isBuffer(part)) continue;
    bytes += part.length;
    if (bytes > bodyBytesMax) throw tooLarge();
    parts.push(part);
  }
  return Buffer.concat(parts);
}

function tooLarge(): PlatformError {
  return new PlatformError('PAYLOAD_TOO_LARGE', problemOfStatus(413).detail);
}
