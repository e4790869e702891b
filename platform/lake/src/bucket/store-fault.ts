import { PlatformError } from '@domicile/core/errors.ts';

/** A failure of a provider's client, read. */
export interface StoreFailure {
  readonly error: Error;
  /** Of the answer; undefined if there was none. */
  readonly status: number | undefined;
  readonly isMissingBucket: boolean;
  /** It was refused to whoever asked. */
  readonly isRefused: boolean;
  /** It was asked wrongly. */
  readonly isInvalid: boolean;
  /** Any other failure without an answer is a fault of this program. */
  readonly isOfNetwork: boolean;
}

/** In the platform's words; messages hold no key and no name of a bucket. */
export function storeFault(failure: StoreFailure): Error {
  const { error, status } = failure;
  const cause = { cause: error };
  if (failure.isMissingBucket)
    return new PlatformError(
      'UPSTREAM_UNAVAILABLE',
      'Cannot reach the store: there is no such bucket',
      cause,
    );
  if (failure.isRefused)
    return new PlatformError('FORBIDDEN', 'Cannot reach the object: the store refuses it', cause);
  if (status === 416)
    return new PlatformError(
      'RANGE_NOT_SATISFIABLE',
      'Cannot read beyond the end of an object',
      cause,
    );
  if (status === 507)
    return new PlatformError('STORE_FULL', 'Cannot write: the store is full', cause);
  if (failure.isInvalid)
    return new PlatformError('VALUE_INVALID', `Cannot ask the store: ${error.message}`, cause);
  if (status === undefined && !failure.isOfNetwork) return error;
  const told = status === undefined ? 'it does not answer' : `it answers ${status}`;
  return new PlatformError('UPSTREAM_UNAVAILABLE', `Cannot reach the store: ${told}`, cause);
}
