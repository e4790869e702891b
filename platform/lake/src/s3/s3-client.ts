import { S3Client, S3ServiceException } from '@aws-sdk/client-s3';
import { PlatformError } from '@domicile/core/errors.ts';
import { type LakeSecret, requireEntry } from '../admin/open-bucket-admin.ts';
import { storeFault } from '../bucket/store-fault.ts';

const connectTimeoutMs = 5_000;
const requestTimeoutMs = 30_000;

export interface S3Options {
  /** Absent: Amazon's. */
  readonly endpoint?: string | undefined;
  /** That requests are signed for. */
  readonly region: string;
  /** `accessKeyId` and `secretAccessKey`. */
  readonly secret: LakeSecret;
}

/** The client, told to try once: it is asked again elsewhere, where a lost answer is recognised. Throws `CONFIG_INVALID`. */
export function openS3({ endpoint, region, secret }: S3Options): S3Client {
  return new S3Client({
    region,
    // Stores of one's own have no name for each bucket.
    ...(endpoint !== undefined && { endpoint, forcePathStyle: true }),
    credentials: {
      accessKeyId: requireEntry(secret, 'accessKeyId'),
      secretAccessKey: requireEntry(secret, 'secretAccessKey'),
    },
    maxAttempts: 1,
    requestHandler: {
      connectionTimeout: connectTimeoutMs,
      requestTimeout: requestTimeoutMs,
      throwOnRequestTimeout: true,
    },
    // Checksums are ours, where they are wanted: not every store knows those that the client adds.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
  });
}

/** Undefined if nothing answered. */
export function s3StatusOf(error: unknown): number | undefined {
  return error instanceof S3ServiceException ? error.$metadata.httpStatusCode : undefined;
}

/** The code in the answer, `NoSuchBucket` and the like. */
export function s3CodeOf(error: unknown): string {
  return error instanceof S3ServiceException ? error.name : '';
}

/** Every failure of the client in the platform's words; messages hold no key and no name of a bucket. */
export function s3Fault(error: unknown): unknown {
  if (error instanceof PlatformError || !(error instanceof Error)) return error;
  const status = s3StatusOf(error);
  return storeFault({
    error,
    status,
    isMissingBucket: s3CodeOf(error) === 'NoSuchBucket',
    isRefused: status === 401 || status === 403,
    isInvalid: status === 400 || status === 405 || status === 501,
    isOfNetwork: isOfNetwork(error),
  });
}

/** Any other error without a status is a fault of this program. */
function isOfNetwork(error: Error): boolean {
  const code = 'code' in error && typeof error.code === 'string' ? error.code : '';
  return error.name === 'TimeoutError' || error.name === 'AbortError' || /^E[A-Z]+$/.test(code);
}

/** Runs a call of the client. */
export async function askedS3<Value>(work: () => Promise<Value>): Promise<Value> {
  try {
    return await work();
  } catch (error) {
    throw s3Fault(error);
  }
}
