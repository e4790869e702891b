import type { Farewell } from './building-resource.ts';

/** How long an erasure takes its time. */
export interface ErasureTimes {
  /** Until what was on its way when the gateway was refused has landed. */
  readonly settleMs: number;
  /** The longest retention of the streams. */
  readonly kafkaRetentionMs: number;
  /** How long the store can bring back what was deleted. */
  readonly softDeleteMs: number;
}

export type ErasurePassName = 'export' | 'erase' | 'verify';

/** What the eraser has reported of a pass. */
export interface PassDone {
  /** Unix milliseconds. */
  readonly finishedAtMs: number;
  /** Rewritten or removed. */
  readonly objects: number;
}

export interface ErasureFacts {
  readonly farewell: Farewell;
  readonly nowMs: number;
  /** Since when its gateway is refused. */
  readonly revokedAtMs: number;
  readonly done: Readonly<Partial<Record<ErasurePassName, PassDone>>>;
  readonly times: ErasureTimes;
}

/** The times that a certificate names. */
export interface ErasureEnds {
  readonly kafkaUntilMs: number;
  readonly softDeleteUntilMs: number;
}

export type ErasureStep =
  /** Nothing is erased. */
  | { readonly kind: 'retain' }
  | { readonly kind: 'held' }
  | { readonly kind: 'settle'; readonly untilMs: number }
  | { readonly kind: 'run'; readonly pass: ErasurePassName }
  /** Until Kafka and the store have forgotten. */
  | { readonly kind: 'wait'; readonly untilMs: number }
  | { readonly kind: 'certify'; readonly ends: ErasureEnds };

/** What comes next; the same facts give the same step, whoever was killed in between. */
export function erasureStep(facts: ErasureFacts): ErasureStep {
  const { farewell, nowMs, revokedAtMs, done, times } = facts;
  if (farewell.deletionPolicy === 'Retain') return { kind: 'retain' };
  if (farewell.legalHold) return { kind: 'held' };
  const settledAtMs = revokedAtMs + times.settleMs;
  if (nowMs < settledAtMs && !done.erase) return { kind: 'settle', untilMs: settledAtMs };
  if (farewell.exportBeforeDelete && !done.export && !done.erase)
    return { kind: 'run', pass: 'export' };
  if (!done.erase) return { kind: 'run', pass: 'erase' };
  const kafkaUntilMs = settledAtMs + times.kafkaRetentionMs;
  const erasedUntilMs = done.erase.finishedAtMs + times.softDeleteMs;
  const firstEndMs = Math.max(kafkaUntilMs, erasedUntilMs);
  if (nowMs < firstEndMs) return { kind: 'wait', untilMs: firstEndMs };
  if (!done.verify) return { kind: 'run', pass: 'verify' };
  // What the second pass had to take away can be brought back as long.
  const softDeleteUntilMs =
    done.verify.objects > 0 ? done.verify.finishedAtMs + times.softDeleteMs : erasedUntilMs;
  if (nowMs < softDeleteUntilMs) return { kind: 'wait', untilMs: softDeleteUntilMs };
  return { kind: 'certify', ends: { kafkaUntilMs, softDeleteUntilMs } };
}

/** When it is expected to be over, as far as is known. */
export function expectedEndMs({ revokedAtMs, done, times }: ErasureFacts): number {
  const settledAtMs = revokedAtMs + times.settleMs;
  const erasedAtMs = done.erase?.finishedAtMs ?? settledAtMs;
  return Math.max(settledAtMs + times.kafkaRetentionMs, erasedAtMs + times.softDeleteMs);
}
