import { z } from 'zod';

export const problem = z
  .object({
    type: z.string().describe('`/problems/{code}`'),
    title: z.string(),
    status: z.number().int(),
    code: z.string().describe('Stable; programs go by it'),
    detail: z.string(),
    errors: z
      .array(z.object({ detail: z.string(), pointer: z.string() }))
      .optional()
      .describe('What is wrong, and where: JSON pointers such as `#/query/from`'),
    cell: z.string().optional().describe('The address of the cell that may answer'),
  })
  .describe('RFC 9457 problem details');

/** What each `code` means to who gets it, and what to do about it. */
export const problemMeanings: Readonly<Record<string, string>> = {
  'request-malformed':
    'The request is not HTTP or not JSON. Correct it; the same again fails again.',
  'value-invalid': 'A part of the request is wrong; `errors` says which and why.',
  unauthenticated: 'Nobody has been recognised. Get a new token for this cell and ask again.',
  forbidden: 'The token lacks the scope that this route needs.',
  'not-found': 'There is nothing here, or nothing that this token may see.',
  'method-not-allowed': 'The address is right, the method is not; `Allow` names those that are.',
  'not-acceptable': 'None of the media types in `Accept` is offered here.',
  'request-timeout': 'The request did not arrive in time. Ask again.',
  conflict: 'It contradicts what was asked before, for example another command by the same key.',
  'precondition-failed': 'It has changed since the ETag that was named.',
  'payload-too-large': 'The body is larger than is taken here.',
  'media-type-unsupported': 'The body must be `application/json`, without an encoding.',
  'range-not-satisfiable': 'The file has no such range.',
  'residency-violation':
    'The building is at home in another country, whose cell alone may answer; `cell` names its address if it is served.',
  'rate-limited': 'Too much was asked; `Retry-After` says when to ask again.',
  'headers-too-large': 'The head of the request is larger than is taken here.',
  internal: 'It is our fault. Name the `X-Request-Id` when you report it.',
  'not-built': 'This part is announced and not there yet.',
  'upstream-unavailable': 'A service is away for a moment; ask again after `Retry-After`.',
  'store-full': 'Nothing more can be kept for now; ask again later.',
};
