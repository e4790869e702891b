import { type ErrorCode, type Fault, PlatformError } from '@domicile/core/errors.ts';
import { z } from 'zod';

/** RFC 9457 problem details. `code` is in kebab case and stable; `type` ends in it. */
export interface Problem {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly code: string;
  readonly detail: string;
  /** What is wrong, and where: JSON pointers such as `#/query/from`. */
  readonly errors?: readonly Fault[];
  /** Where the cell that may answer is, if the country is served. */
  readonly cell?: string;
}

export const problemMediaType = 'application/problem+json';

const publicDetails = z.object({ cell: z.string().optional().catch(undefined) });

/** What a client is told: the message, the faults and the cell; never other details or the cause. */
export function problemOf({ code, decision, message, details, faults }: PlatformError): Problem {
  const { cell } = publicDetails.parse(details);
  return {
    ...problem(decision.httpStatus, kebabOf(code), message),
    ...(faults.length > 0 && { errors: faults }),
    ...(cell !== undefined && { cell }),
  };
}

/** A problem that no `PlatformError` stands for. `code` in kebab case. */
export function problem(status: number, code: string, detail: string): Problem {
  return { type: `/problems/${code}`, title: code.replaceAll('-', ' '), status, code, detail };
}

/** The stable code as it goes over HTTP: `VALUE_INVALID` is `value-invalid`. */
export function kebabOf(code: ErrorCode): string {
  return code.toLowerCase().replaceAll('_', '-');
}

/** A bug, told without detail; the log has the rest. */
export const internalProblem = problem(500, 'internal', 'Cannot answer: an internal error');

const ofStatus: Readonly<Record<number, Problem>> = Object.fromEntries(
  [
    problem(400, 'request-malformed', 'Cannot read the request: it is malformed'),
    problem(404, 'not-found', 'Cannot find it: there is nothing at this address'),
    problem(405, 'method-not-allowed', 'Cannot do it: the method is not allowed here'),
    problem(408, 'request-timeout', 'Cannot read the request: it took too long'),
    problem(413, 'payload-too-large', 'Cannot read the body: it is too large'),
    problem(415, 'media-type-unsupported', 'Cannot read the body: its media type is unsupported'),
    problem(431, 'headers-too-large', 'Cannot read the request: its headers are too large'),
  ].map((one) => [one.status, one]),
);

/** A failure that the HTTP layer itself found, told by its status alone. */
export function problemOfStatus(status: number): Problem {
  const known = ofStatus[status] ?? ofStatus[400];
  return known ?? internalProblem;
}

/**
 * Total: platform errors by their table, the HTTP library's by their status, everything else is a bug.
 * The HTTP library marks what a client may see by a `status` of 400 to 499.
 */
export function problemOfAny(error: unknown): Problem {
  if (error instanceof PlatformError) return problemOf(error);
  if (error instanceof Error && 'status' in error && typeof error.status === 'number')
    if (error.status >= 400 && error.status < 500) return problemOfStatus(error.status);
  return internalProblem;
}
