import { createHash, randomUUID } from 'node:crypto';
import { crc32cOf } from '@domicile/lake/model/crc32c.ts';
import { badRequest, GcsFault } from './gcs-fault.ts';
import type { GcsCaller } from './gcs-identities.ts';
import { conditionsOf, type NewObjectFields, readNewObject } from './gcs-objects.ts';
import type { NewObject, Preconditions } from './gcs-state.ts';

/** A chunk that is not the last has whole multiples of it. */
const chunkUnitBytes = 256 * 1024;

interface Session {
  readonly bucket: string;
  readonly fields: NewObjectFields & { readonly name: string };
  readonly conditions: Preconditions;
  /** Whoever knows the session's address acts for its owner. */
  readonly owner: GcsCaller;
  content: Buffer;
  finished: unknown;
}

export interface Upload {
  readonly object: NewObject;
  readonly conditions: Preconditions;
}

/** The bytes of an upload in one request: `media`, or `multipart/related` with the resource before them. */
export function simpleUpload(of: {
  readonly query: URLSearchParams;
  readonly contentType: string;
  readonly body: Buffer;
}): Upload {
  const { query, contentType, body } = of;
  const conditions = conditionsOf(query);
  if (query.get('uploadType') === 'media')
    return { conditions, object: newObject({ ...readNewObject(''), contentType }, query, body) };
  const [, boundary] = /boundary="?([^";]+)"?/.exec(contentType) ?? [];
  if (boundary === undefined) throw badRequest('Missing boundary.');
  const [head, media] = partsOf(body, boundary);
  return {
    conditions,
    object: newObject(readNewObject(head.content.toString()), query, media.content, media.type),
  };
}

function newObject(
  fields: NewObjectFields,
  query: URLSearchParams,
  content: Buffer,
  type = 'application/octet-stream',
): NewObject {
  requireHashes(fields, content);
  const name = query.get('name') ?? fields.name ?? '';
  if (name === '') throw badRequest('Required parameter: name');
  return { name, content, contentType: fields.contentType ?? type, metadata: fields.metadata };
}

function requireHashes({ crc32c, md5Hash }: NewObjectFields, content: Buffer): void {
  const own = Buffer.from(crc32cOf(content), 'hex').toString('base64');
  if (crc32c !== undefined && crc32c !== own)
    throw badRequest(`Provided CRC32C "${crc32c}" doesn't match calculated CRC32C "${own}".`);
  const md5 = createHash('md5').update(content).digest('base64');
  if (md5Hash !== undefined && md5Hash !== md5)
    throw badRequest(`Provided MD5 hash "${md5Hash}" doesn't match calculated MD5 hash "${md5}".`);
}

interface Part {
  readonly type: string | undefined;
  readonly content: Buffer;
}

/** RFC 2046, section 5.1: the two parts of an upload. */
function partsOf(body: Buffer, boundary: string): [Part, Part] {
  const parts: Part[] = [];
  const line = Buffer.from(`--${boundary}`);
  for (let at = body.indexOf(line); at >= 0 && parts.length < 2;) {
    const headEnd = body.indexOf('\r\n\r\n', at);
    const next = body.indexOf(Buffer.from(`\r\n--${boundary}`), headEnd);
    if (headEnd < 0 || next < 0) break;
    const head = body.subarray(at + line.length, headEnd).toString();
    const [, type] = /^content-type:\s*(.+?)\s*$/im.exec(head) ?? [];
    parts.push({ type, content: body.subarray(headEnd + 4, next) });
    at = next + 2;
  }
  const [head, media] = parts;
  if (!head || !media) throw badRequest('Malformed multipart body.');
  return [head, media];
}

/** Resumable uploads: a session, then the bytes in one or several requests, then the object. */
export class GcsUploads {
  readonly #sessions = new Map<string, Session>();

  /** The path and query of the session, for `Location`. */
  open(of: {
    readonly bucket: string;
    readonly query: URLSearchParams;
    readonly contentType: string | undefined;
    readonly body: Buffer;
    readonly owner: GcsCaller;
  }): string {
    const fields = readNewObject(of.body.toString());
    const name = of.query.get('name') ?? fields.name;
    if (name === undefined) throw badRequest('Required parameter: name');
    const contentType = fields.contentType ?? of.contentType;
    const id = randomUUID();
    this.#sessions.set(id, {
      bucket: of.bucket,
      fields: { ...fields, name, ...(contentType !== undefined && { contentType }) },
      conditions: conditionsOf(of.query),
      owner: of.owner,
      content: Buffer.alloc(0),
      finished: undefined,
    });
    return `/upload/storage/v1/b/${of.bucket}/o?uploadType=resumable&upload_id=${id}`;
  }

  /**
   * Takes the bytes that `content-range` names; `finish` makes the object of them once they are whole. Answers what it made, or
   * how many bytes are there.
   */
  take(
    id: string,
    { range, body }: { readonly range: string | undefined; readonly body: Buffer },
    finish: (of: { upload: Upload; bucket: string; caller: GcsCaller }) => unknown,
  ): { readonly finished: unknown } | { readonly received: number } {
    const session = this.#sessions.get(id);
    if (!session) throw new GcsFault(410, 'gone', 'The upload session is over.');
    if (session.finished !== undefined) return { finished: session.finished };
    const { start, total } = rangeOf(range, body.length);
    if (start !== undefined) {
      if (start > session.content.length) throw badRequest('Invalid Content-Range: a gap.');
      const isLast = total !== undefined && start + body.length === total;
      if (!isLast && body.length % chunkUnitBytes !== 0)
        throw badRequest('A chunk that is not the last must be a multiple of 256 KiB.');
      session.content = Buffer.concat([session.content.subarray(0, start), body]);
    }
    if (total === undefined || session.content.length < total)
      return { received: session.content.length };
    const { fields, conditions, content, bucket, owner: caller } = session;
    requireHashes(fields, content);
    const object = newObject(fields, new URLSearchParams(), content);
    session.finished = finish({ upload: { object, conditions }, bucket, caller });
    session.content = Buffer.alloc(0);
    return { finished: session.finished };
  }

  cancel(id: string): void {
    this.#sessions.delete(id);
  }
}

/** `bytes 0-9/10`, `bytes 0-9/*`, `bytes 0-*\/*`, `bytes *\/10` (a question); absent: all at once. */
function rangeOf(text: string | undefined, bytes: number): { start?: number; total?: number } {
  if (text === undefined) return { start: 0, total: bytes };
  const [, span, size = '*'] = /^bytes (\*|\d+-(?:\d+|\*))\/(\d+|\*)$/.exec(text) ?? [];
  if (span === undefined) throw badRequest('Invalid Content-Range.');
  const total = size === '*' ? {} : { total: Number(size) };
  if (span === '*') return total;
  const [start = '0', end = ''] = span.split('-');
  // Until the end of the body, which is the object's too.
  if (end === '*') return { start: Number(start), total: Number(start) + bytes, ...total };
  if (Number(end) - Number(start) + 1 !== bytes) throw badRequest('Invalid Content-Range.');
  return { start: Number(start), ...total };
}
