import { PlatformError } from '@domicile/core/errors.ts';

/** Another process holds this identity, or this one's transaction outlived its timeout: exit, and let a supervisor start anew. */
export class FencedError extends PlatformError {
  /** Asked by the client before it tries again. */
  readonly canRetry = false;

  constructor(message: string, options: ErrorOptions = {}) {
    super('FENCED', message, options);
  }
}

/** No progress within the limit. What is open is aborted by the next process with the same identity. */
export class StalledError extends PlatformError {
  constructor(message: string, options: ErrorOptions = {}) {
    super('UPSTREAM_UNAVAILABLE', message, options);
  }
}

/** Why a record is not acknowledged. It may be in the log all the same: whoever sends it again must expect a duplicate. */
export class NotAcknowledgedError extends PlatformError {
  constructor(message: string, options: ErrorOptions = {}) {
    super('UPSTREAM_UNAVAILABLE', message, options);
  }
}

/** The client nests protocol errors at varying depth, and its `findErrorBy` does not look into causes. */
function* nested(error: unknown): Generator<Error> {
  if (!(error instanceof Error)) return;
  yield error;
  yield* nested(error.cause);
  if (error instanceof AggregateError) for (const inner of error.errors) yield* nested(inner);
}

export function apiError(error: unknown, ...apiIds: readonly string[]): boolean {
  return nested(error).some(
    (inner) => 'apiId' in inner && typeof inner.apiId === 'string' && apiIds.includes(inner.apiId),
  );
}

/** The client's own `producerFenced` flag leaves out PRODUCER_FENCED. */
export function isFenced(error: unknown): boolean {
  const own = nested(error).some((inner) => inner instanceof FencedError);
  return own || apiError(error, 'PRODUCER_FENCED', 'INVALID_PRODUCER_EPOCH', 'FENCED_INSTANCE_ID');
}

export const refusals = [
  'TOPIC_AUTHORIZATION_FAILED',
  'GROUP_AUTHORIZATION_FAILED',
  'TRANSACTIONAL_ID_AUTHORIZATION_FAILED',
  'CLUSTER_AUTHORIZATION_FAILED',
];

/** Every failure of the client as one of ours. Total: what it does not know is an unavailable upstream. */
export function platformErrorOf(error: unknown, doing: string): PlatformError {
  if (error instanceof PlatformError) return error;
  const because = { cause: error };
  if (isFenced(error)) return new FencedError(`Cannot ${doing}: another process does it`, because);
  if (apiError(error, ...refusals))
    return new PlatformError('FORBIDDEN', `Cannot ${doing}: Kafka refuses the right`, because);
  if (apiError(error, 'SASL_AUTHENTICATION_FAILED', 'ILLEGAL_SASL_STATE'))
    return new PlatformError(
      'UNAUTHENTICATED',
      `Cannot ${doing}: Kafka refuses the log-in`,
      because,
    );
  if (apiError(error, 'MESSAGE_TOO_LARGE', 'RECORD_LIST_TOO_LARGE'))
    return new PlatformError(
      'PAYLOAD_TOO_LARGE',
      `Cannot ${doing}: a record is too large`,
      because,
    );
  if (apiError(error, 'OFFSET_OUT_OF_RANGE'))
    return new PlatformError(
      'STATE_LOST',
      `Cannot ${doing}: Kafka does not have what comes next. The topic was deleted and made again, or records were lost; ` +
        'whoever kept its position there cannot go on',
      because,
    );
  return new PlatformError(
    'UPSTREAM_UNAVAILABLE',
    `Cannot ${doing}: Kafka does not answer`,
    because,
  );
}

/** Rejects with a StalledError when `work` takes longer; `work` itself goes on and has to be made harmless. */
export async function withDeadline<T>(work: Promise<T>, limitMs: number, what: string): Promise<T> {
  const expired = Promise.withResolvers<never>();
  const timer = setTimeout(
    () => expired.reject(new StalledError(`${what} took more than ${limitMs} ms`)),
    limitMs,
  );
  try {
    return await Promise.race([work, expired.promise]);
  } finally {
    clearTimeout(timer);
    work.catch(() => {});
  }
}
