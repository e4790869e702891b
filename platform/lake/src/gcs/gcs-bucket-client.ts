import { PlatformError } from '@domicile/core/errors.ts';
import type { File, SaveOptions } from '@google-cloud/storage';
import { z } from 'zod';
import type {
  BucketClient,
  BucketObjectHead,
  BucketRead,
  BucketWrite,
} from '../bucket/bucket-client.ts';
import type { ByteRange } from '../object-store.ts';
import { asked, callGcs, type GcsAccess, isMissingBucket, statusOf } from './gcs-client.ts';

/** Above it an upload has a session of its own, and its parts are not sent again for a cut connection. */
const simpleUploadBytesMax = 8 << 20;
/** Names of one page; the service gives no more. */
const pageNamesMax = 1_000;

/** Of what the service says of an object; numbers come as text. */
const metadataSchema = z.object({
  size: z.coerce.number(),
  generation: z.coerce.string(),
  crc32c: z.string().optional(),
  metadata: z.record(z.string(), z.unknown()).optional(),
});

/** A bucket of Google Cloud Storage, or of what speaks its JSON API. */
export class GcsBucketClient implements BucketClient {
  readonly #access: GcsAccess;
  readonly #bucket: string;

  constructor(access: GcsAccess, bucket: string) {
    this.#access = access;
    this.#bucket = bucket;
  }

  async put(key: string, content: Uint8Array, write: BucketWrite): Promise<string | undefined> {
    const { condition, writeId, crc32c } = write;
    const file = this.#file(key);
    const ifGenerationMatch = condition === 'absent' ? 0 : condition.generation;
    return asked(this.#access, async () => {
      try {
        await upload(file, Buffer.from(content.buffer, content.byteOffset, content.byteLength), {
          preconditionOpts: { ifGenerationMatch },
          metadata: {
            contentType: 'application/octet-stream',
            crc32c: Buffer.from(crc32c, 'hex').toString('base64'),
            metadata: { 'domicile-write': writeId },
          },
        });
      } catch (error) {
        if (statusOf(error) === 412) return undefined;
        throw error;
      }
      const kept = headOf(file.metadata);
      if (kept.crc32c === undefined || kept.crc32c === crc32c) return kept.generation;
      throw new PlatformError(
        'UPSTREAM_UNAVAILABLE',
        'Cannot write: the store says another checksum than that of the bytes',
      );
    });
  }

  async head(key: string): Promise<BucketObjectHead | undefined> {
    return this.#unlessMissing(async () => headOf((await this.#file(key).getMetadata())[0]));
  }

  async read(key: string): Promise<BucketRead | undefined> {
    return this.#unlessMissing(async () => {
      const answer = await this.#fetch(key, {});
      const hash = answer.headers.get('x-goog-hash') ?? '';
      const [, crc32c] = /(?:^|,)\s*crc32c=([^,]+)/.exec(hash) ?? [];
      const content = Buffer.from(await answer.arrayBuffer());
      return { content, crc32c: crc32c === undefined ? undefined : hexOf(crc32c) };
    });
  }

  async readRange(key: string, { start, end }: ByteRange): Promise<Buffer | undefined> {
    return this.#unlessMissing(async () => {
      const answer = await this.#fetch(key, { range: `bytes=${start}-${end - 1}` });
      return Buffer.from(await answer.arrayBuffer());
    });
  }

  async list(
    prefix: string,
    { after, limit }: { readonly after: string | undefined; readonly limit: number },
  ): Promise<string[]> {
    const names: string[] = [];
    let pageToken: string | undefined;
    do {
      // The name it begins with is included.
      const wanted = limit - names.length + (after === undefined ? 0 : 1);
      const [files, next] = await asked(this.#access, () =>
        this.#access.storage.bucket(this.#bucket).getFiles({
          prefix,
          autoPaginate: false,
          maxResults: Math.min(pageNamesMax, wanted),
          fields: 'items(name),nextPageToken',
          ...(after !== undefined && { startOffset: after }),
          ...(pageToken !== undefined && { pageToken }),
        }),
      );
      for (const { name } of files) if (after === undefined || name > after) names.push(name);
      pageToken = z.object({ pageToken: z.string() }).safeParse(next).data?.pageToken;
    } while (pageToken !== undefined && names.length < limit);
    return names.slice(0, limit);
  }

  /** By its generation, so that no older version of it stays in a versioned bucket. */
  async remove(key: string, generation: string): Promise<boolean> {
    const found = await this.head(key);
    await this.#unlessMissing(async () =>
      this.#access.storage.bucket(this.#bucket).file(key, { generation }).delete(),
    );
    return found === undefined || found.generation === generation;
  }

  #file(key: string): File {
    return this.#access.storage.bucket(this.#bucket).file(key);
  }

  async #fetch(key: string, headers: Readonly<Record<string, string>>): Promise<Response> {
    return callGcs(this.#access, {
      path: `b/${this.#bucket}/o/${encodeURIComponent(key)}`,
      query: { alt: 'media' },
      headers: { ...headers, 'accept-encoding': 'identity' },
    });
  }

  async #unlessMissing<Value>(work: () => Promise<Value>): Promise<Value | undefined> {
    return asked(this.#access, async () => {
      try {
        return await work();
      } catch (error) {
        if (statusOf(error) === 404 && !isMissingBucket(error)) return undefined;
        throw error;
      }
    });
  }
}

/**
 * A large upload gets its session by itself: the client authorises that call at any endpoint, the session's own calls only at
 * Google's. On a checksum that differs the client would delete the object: the service compares it instead.
 */
async function upload(
  file: File,
  content: Buffer,
  of: Pick<SaveOptions, 'metadata' | 'preconditionOpts'>,
): Promise<void> {
  const plain = { ...of, validation: false };
  if (content.length <= simpleUploadBytesMax)
    return file.save(content, { ...plain, resumable: false });
  const [uri] = await file.createResumableUpload(of);
  await file.save(content, { ...plain, resumable: true, uri });
}

function headOf(metadata: unknown): BucketObjectHead {
  const read = metadataSchema.safeParse(metadata);
  if (!read.success)
    throw new PlatformError(
      'UPSTREAM_UNAVAILABLE',
      'Cannot reach the store: an answer is no object',
    );
  const { size, generation, crc32c, metadata: own } = read.data;
  const writeId = own?.['domicile-write'];
  return {
    bytes: size,
    generation,
    writeId: typeof writeId === 'string' ? writeId : undefined,
    crc32c: crc32c === undefined ? undefined : hexOf(crc32c),
  };
}

function hexOf(base64: string): string {
  return Buffer.from(base64, 'base64').toString('hex');
}
