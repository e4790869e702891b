import type { Farewell } from './building-resource.ts';

/** How long an erasure takes its time. */
export interface ErasureTimes {
  /** Until what was on its way when the gateway was refused has landed. */
  readonly settleMs: number;
  /** The longest retention of the streams. */
  readonly kafkaRetentionMs: number;
  /** How long the store can bring back what is deleted now. */
  readonly softDeleteMs: number;
}

export type ErasurePassName = 'export' | 'erase' | 'verify';

/** What the eraser has reported of a pass. */
export interface PassDone {
  /** Unix milliseconds. */
  readonly finishedAtMs: number;
  /** Rewritten or removed. */
  readonly objects: number;
  /** How long the store could bring back what was deleted then. */
  readonly softDeleteMs?: number;
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
  const erasedUntilMs = restorableUntilMs(done.erase, times);
  const firstEndMs = Math.max(kafkaUntilMs, erasedUntilMs);
  if (nowMs < firstEndMs) return { kind: 'wait', untilMs: firstEndMs };
  if (!done.verify) return { kind: 'run', pass: 'verify' };
  // What the second pass had to take away can be brought back as long.
  const softDeleteUntilMs =
    done.verify.objects > 0
      ? Math.max(erasedUntilMs, restorableUntilMs(done.verify, times))
      : erasedUntilMs;
  if (nowMs < softDeleteUntilMs) return { kind: 'wait', untilMs: softDeleteUntilMs };
  return { kind: 'certify', ends: { kafkaUntilMs, softDeleteUntilMs } };
}

/** When it is expected to be over, as far as is known. */
export function expectedEndMs({ revokedAtMs, done, times }: ErasureFacts): number {
  const settledAtMs = revokedAtMs + times.settleMs;
  const erased = done.erase ?? { finishedAtMs: settledAtMs, objects: 0 };
  return Math.max(settledAtMs + times.kafkaRetentionMs, restorableUntilMs(erased, times));
}

/** A store keeps what was deleted as long as it was set then; what it is set to now may be longer, and sooner in force. */
function restorableUntilMs(done: PassDone, { softDeleteMs }: ErasureTimes): number {
  return done.finishedAtMs + Math.max(softDeleteMs, done.softDeleteMs ?? 0);
}
