import { PlatformError } from '@domicile/core/errors.ts';

export function isFault(error: unknown, ...codes: readonly string[]): boolean {
  return codes.includes(codeOf(error));
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string'
    ? error.code
    : '';
}

/** Every failure of the file system in the platform's words; messages hold no path. */
export function storeFault(error: unknown): unknown {
  if (error instanceof PlatformError || !(error instanceof Error)) return error;
  const code = codeOf(error);
  if (code === 'ENOSPC' || code === 'EDQUOT')
    return new PlatformError('STORE_FULL', 'Cannot write: the store is full', { cause: error });
  if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS' || code === 'ERR_ACCESS_DENIED')
    return new PlatformError('FORBIDDEN', 'Cannot reach the object: the system refuses it', {
      cause: error,
    });
  if (code.startsWith('E'))
    return new PlatformError('UPSTREAM_UNAVAILABLE', `Cannot reach the store: ${code}`, {
      cause: error,
    });
  return error;
}
