import {
  DeleteObjectCommand,
  GetObjectCommand,
  type GetObjectCommandOutput,
  HeadBucketCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  type S3Client,
} from '@aws-sdk/client-s3';
import { PlatformError } from '@domicile/core/errors.ts';
import type {
  BucketClient,
  BucketObjectHead,
  BucketRead,
  BucketWrite,
} from '../bucket/bucket-client.ts';
import type { ByteRange } from '../object-store.ts';
import { askedS3, s3CodeOf, s3StatusOf } from './s3-client.ts';

const pageNamesMax = 1_000;
const writeIdName = 'domicile-write';
const checksumName = 'domicile-crc32c';

interface Version {
  readonly etag: string;
  /** In a versioned bucket. */
  readonly versionId: string | undefined;
}

/**
 * A bucket of S3, or of a store that speaks it and knows conditional writes (`If-None-Match`, `If-Match`); without them it is no
 * store for us. A generation is the ETag, and in a versioned bucket the version beside it. Checksums stand in the object's
 * metadata, as not every store keeps them.
 */
export class S3BucketClient implements BucketClient {
  readonly #client: S3Client;
  readonly #bucket: string;

  constructor(client: S3Client, bucket: string) {
    this.#client = client;
    this.#bucket = bucket;
  }

  async put(key: string, content: Uint8Array, write: BucketWrite): Promise<string | undefined> {
    const { condition, writeId, crc32c } = write;
    return askedS3(async () => {
      try {
        const answer = await this.#client.send(
          new PutObjectCommand({
            Bucket: this.#bucket,
            Key: key,
            Body: content,
            ContentType: 'application/octet-stream',
            ChecksumCRC32C: Buffer.from(crc32c, 'hex').toString('base64'),
            Metadata: { [writeIdName]: writeId, [checksumName]: crc32c },
            ...(condition === 'absent'
              ? { IfNoneMatch: '*' }
              : { IfMatch: versionOf(condition.generation).etag }),
          }),
        );
        return generationOf(answer);
      } catch (error) {
        // 404: a generation was to be replaced, and nothing is there.
        if (s3StatusOf(error) === 412 || s3CodeOf(error) === 'NoSuchKey') return undefined;
        throw error;
      }
    });
  }

  async head(key: string): Promise<BucketObjectHead | undefined> {
    return this.#unlessMissing(async () => {
      const answer = await this.#client.send(
        new HeadObjectCommand({ Bucket: this.#bucket, Key: key }),
      );
      return {
        bytes: answer.ContentLength ?? 0,
        generation: generationOf(answer),
        writeId: answer.Metadata?.[writeIdName],
        crc32c: answer.Metadata?.[checksumName],
      };
    });
  }

  async read(key: string): Promise<BucketRead | undefined> {
    return this.#unlessMissing(async () => {
      const answer = await this.#client.send(
        new GetObjectCommand({ Bucket: this.#bucket, Key: key }),
      );
      return { content: await bytesOf(answer), crc32c: answer.Metadata?.[checksumName] };
    });
  }

  async readRange(key: string, { start, end }: ByteRange): Promise<Buffer | undefined> {
    return this.#unlessMissing(async () => {
      const Range = `bytes=${start}-${end - 1}`;
      const answer = await this.#client.send(
        new GetObjectCommand({ Bucket: this.#bucket, Key: key, Range }),
      );
      return bytesOf(answer);
    });
  }

  async list(
    prefix: string,
    { after, limit }: { readonly after: string | undefined; readonly limit: number },
  ): Promise<string[]> {
    const names: string[] = [];
    let last = after;
    for (let isMore = true; isMore && names.length < limit;) {
      const StartAfter = last;
      const answer = await askedS3(() =>
        this.#client.send(
          new ListObjectsV2Command({
            Bucket: this.#bucket,
            Prefix: prefix,
            MaxKeys: Math.min(pageNamesMax, limit - names.length),
            ...(StartAfter !== undefined && StartAfter !== '' && { StartAfter }),
          }),
        ),
      );
      for (const { Key } of answer.Contents ?? []) if (Key !== undefined) names.push(Key);
      last = names.at(-1) ?? last;
      isMore = answer.IsTruncated === true && (answer.Contents?.length ?? 0) > 0;
    }
    return names;
  }

  async remove(key: string, generation: string): Promise<boolean> {
    const { etag, versionId } = versionOf(generation);
    const found = await this.head(key);
    const isCurrent = found?.generation === generation;
    // In a versioned bucket by its version, so that neither it nor a marker stays.
    if (versionId !== undefined) await this.#delete(key, { VersionId: versionId });
    else if (isCurrent && !(await this.#delete(key, { IfMatch: etag }))) return false;
    return found === undefined || isCurrent;
  }

  /** False if a condition does not hold. */
  async #delete(key: string, of: { IfMatch: string } | { VersionId: string }): Promise<boolean> {
    return askedS3(async () => {
      try {
        await this.#client.send(new DeleteObjectCommand({ Bucket: this.#bucket, Key: key, ...of }));
        return true;
      } catch (error) {
        const status = s3StatusOf(error);
        if (status === 404 && s3CodeOf(error) !== 'NoSuchBucket') return true;
        if (status === 412) return false;
        throw error;
      }
    });
  }

  /** A 404 to a HEAD says nothing of what is missing, so the bucket is looked for. */
  async #unlessMissing<Value>(work: () => Promise<Value>): Promise<Value | undefined> {
    return askedS3(async () => {
      try {
        return await work();
      } catch (error) {
        if (s3StatusOf(error) !== 404 || s3CodeOf(error) === 'NoSuchBucket') throw error;
        if (s3CodeOf(error) !== 'NoSuchKey') await this.#requireBucket();
        return undefined;
      }
    });
  }

  async #requireBucket(): Promise<void> {
    try {
      await this.#client.send(new HeadBucketCommand({ Bucket: this.#bucket }));
    } catch (cause) {
      if (s3StatusOf(cause) !== 404) throw cause;
      throw new PlatformError(
        'UPSTREAM_UNAVAILABLE',
        'Cannot reach the store: there is no such bucket',
        { cause },
      );
    }
  }
}

function generationOf(answer: {
  readonly ETag?: string | undefined;
  readonly VersionId?: string | undefined;
}): string {
  const { ETag, VersionId } = answer;
  if (ETag === undefined)
    throw new PlatformError(
      'UPSTREAM_UNAVAILABLE',
      'Cannot reach the store: an answer has no ETag',
    );
  return VersionId === undefined || VersionId === 'null' ? ETag : `${ETag} ${VersionId}`;
}

function versionOf(generation: string): Version {
  const [etag = '', versionId] = generation.split(' ');
  return { etag, versionId };
}

async function bytesOf({ Body }: GetObjectCommandOutput): Promise<Buffer> {
  const bytes = await Body?.transformToByteArray();
  return bytes ? Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength) : Buffer.alloc(0);
}
