import { type ErrorCode, PlatformError } from '@domicile/core/errors.ts';
import { z } from 'zod';

const statusSchema = z.object({
  message: z.string().optional().catch(undefined),
  reason: z.string().optional().catch(undefined),
  details: z
    .object({
      causes: z
        .array(z.object({ reason: z.string().optional(), field: z.string().optional() }))
        .optional()
        .catch(undefined),
      retryAfterSeconds: z.number().optional().catch(undefined),
    })
    .optional()
    .catch(undefined),
});

const messageMax = 2_000;

const codes: Readonly<Record<number, ErrorCode>> = {
  400: 'VALUE_INVALID',
  401: 'FORBIDDEN',
  403: 'FORBIDDEN',
  404: 'NOT_FOUND',
  405: 'METHOD_NOT_ALLOWED',
  409: 'CONFLICT',
  410: 'PRECONDITION_FAILED',
  413: 'PAYLOAD_TOO_LARGE',
  415: 'MEDIA_TYPE_UNSUPPORTED',
  422: 'VALUE_INVALID',
  429: 'RATE_LIMITED',
};

/** Another manager holds a field that was not to be taken over; not a change in between. */
export function isManagerConflict(error: unknown): boolean {
  return error instanceof PlatformError && error.details['managerConflict'] === true;
}

/** An answer that is no success, as one of our errors. Total. `410` is `PRECONDITION_FAILED`: the version asked for is gone. */
export function errorOfAnswer(status: number, body: unknown, doing: string): PlatformError {
  const parsed = statusSchema.safeParse(body);
  const { message, reason, details } = parsed.success ? parsed.data : {};
  const code = codes[status] ?? 'UPSTREAM_UNAVAILABLE';
  const why = (message ?? `the API server answers ${status}`).slice(0, messageMax);
  return new PlatformError(code, `Cannot ${doing}: ${why}`, {
    details: {
      status,
      ...(reason !== undefined && { reason }),
      ...(details?.causes?.some((cause) => cause.reason === 'FieldManagerConflict') && {
        managerConflict: true,
      }),
      ...(details?.retryAfterSeconds !== undefined && {
        retryAfterMs: details.retryAfterSeconds * 1_000,
      }),
    },
  });
}

/** No answer at all: refused, reset, timed out, cut within the body. Total. */
export function errorOfConnection(error: unknown, doing: string): PlatformError {
  if (error instanceof PlatformError) return error;
  const code = error instanceof Error && 'code' in error ? ` (${String(error.code)})` : '';
  const why = error instanceof Error ? error.message : 'the connection broke';
  return new PlatformError(
    'UPSTREAM_UNAVAILABLE',
    `Cannot ${doing}: the API server gives no answer: ${why}${code}`,
    { cause: error },
  );
}
