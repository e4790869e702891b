import { PlatformError } from '@domicile/core/errors.ts';
import type { Breach } from '../../model/residency-guard.ts';
import type { ConditionNow } from '../../runtime/status-writer.ts';

/** Of the 8,192 characters that the definition of Cell takes, what a person reads. */
const messageMax = 4_000;

/** What came of one part of a cell. */
export interface Step {
  readonly condition: ConditionNow;
  readonly breaches: readonly Breach[];
  /** It was looked where the data is, and all of it was found. */
  readonly isProved: boolean;
  /** To be tried again with growing pauses. */
  readonly error?: unknown;
}

export function fine(type: string, reason: string, message: string): ConditionNow {
  return { type, status: 'True', reason, message };
}

export function notYet(type: string, reason: string, message: string): ConditionNow {
  return { type, status: 'False', reason, message: message.slice(0, messageMax) };
}

/** A breach stops the part that it is of. */
export function stopped(type: string, breaches: readonly Breach[]): Step {
  const [first] = breaches;
  return {
    condition: notYet(
      type,
      first?.reason ?? 'Breach',
      `Nothing is written until this is put right: ${breaches.map(({ evidence }) => evidence).join('; ')}`,
    ),
    breaches,
    isProved: false,
  };
}

/** A failure as a condition. What is no failure of the outside is a bug, and goes on up. */
export function failed(type: string, what: string, error: unknown): Step {
  if (!(error instanceof PlatformError)) throw error;
  if (error.code === 'FENCED' || error.code === 'CONFLICT') throw error;
  const reason = error.details['reason'];
  const names = {
    UPSTREAM_UNAVAILABLE: `${what}Unreachable`,
    FORBIDDEN: `${what}Forbidden`,
    UNAUTHENTICATED: `${what}CredentialsRefused`,
  } as const;
  return {
    condition: notYet(
      type,
      typeof reason === 'string' &&
        /^[A-Z][A-Za-z]+$/.test(reason) &&
        error.code === 'CONFIG_INVALID'
        ? reason
        : (Object.entries(names).find(([code]) => code === error.code)?.[1] ?? `${what}Failed`),
      error.message,
    ),
    breaches: [],
    isProved: false,
    error,
  };
}
