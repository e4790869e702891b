import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { PlatformError } from '@domicile/core/errors.ts';
import { isPointer } from '@domicile/lake/model/object-key.ts';
import type { ObjectStore } from '@domicile/lake/object-store.ts';
import type { Request, Response } from 'express';
import { knows, mediaTypes } from './answer.ts';
import { byteRangeOf } from './byte-range.ts';

const chunkBytes = 1024 * 1024;

const typeOfSuffix: Readonly<Record<string, string>> = {
  parquet: mediaTypes.parquet,
  json: mediaTypes.json,
  csv: `${mediaTypes.csv}; charset=utf-8`,
};

/** Answers with an object of a store, or a range of it. Throws `NOT_FOUND`, `RANGE_NOT_SATISFIABLE`. */
export async function sendObject(
  store: ObjectStore,
  key: string,
  request: Request,
  response: Response,
): Promise<void> {
  const head = await (isPointer(key) ? readWhole(store, key) : store.head(key));
  if (!head) throw new PlatformError('NOT_FOUND', 'Cannot find the file');
  const etag = `"${Buffer.from(head.generation).toString('base64url')}"`;
  response.setHeader('ETag', etag);
  response.setHeader('Accept-Ranges', 'bytes');
  response.setHeader(
    'Content-Type',
    typeOfSuffix[key.split('.').at(-1) ?? ''] ?? 'application/octet-stream',
  );
  if (knows(request, etag)) {
    response.status(304).end();
    return;
  }
  const range = rangeOf(request, response, { etag, bytes: head.bytes });
  const { start, end } = range ?? { start: 0, end: head.bytes };
  response.setHeader('Content-Length', end - start);
  if (range) {
    response.status(206);
    response.setHeader('Content-Range', `bytes ${start}-${end - 1}/${head.bytes}`);
  }
  if (request.method === 'HEAD') response.end();
  else if ('content' in head) response.end(head.content.subarray(start, end));
  else await pipeline(Readable.from(chunksOf({ store, key, start, end })), response);
}

/** A pointer is replaced at any time: its length and its bytes are of one reading. */
async function readWhole(store: ObjectStore, key: string) {
  const content = await store.get(key);
  const generation = content && createHash('sha256').update(content).digest('hex').slice(0, 32);
  return content && generation && { content, bytes: content.length, generation };
}

/** Throws `RANGE_NOT_SATISFIABLE`; the answer then says how long the object is. */
function rangeOf(
  request: Request,
  response: Response,
  { etag, bytes }: { readonly etag: string; readonly bytes: number },
) {
  const sameAsBefore = request.get('if-range') ?? etag;
  if (sameAsBefore !== etag) return undefined;
  try {
    return byteRangeOf(request.get('range'), bytes);
  } catch (error) {
    response.setHeader('Content-Range', `bytes */${bytes}`);
    throw error;
  }
}

async function* chunksOf(of: {
  store: ObjectStore;
  key: string;
  start: number;
  end: number;
}): AsyncGenerator<Buffer> {
  for (let from = of.start; from < of.end; from += chunkBytes) {
    const end = Math.min(of.end, from + chunkBytes);
    yield await of.store.getRange(of.key, { start: from, end });
  }
}
