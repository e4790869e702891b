import type { Interval } from '@domicile/core/answers/serving.ts';
import type { BuildingRecord } from '@domicile/core/building.ts';
import type { Level } from '@domicile/core/summary.ts';
import type { SummaryRow, SummarySnapshot } from '@domicile/lake/serving-summaries.ts';
import type { Period } from '../../model/period.ts';
import type { SummaryTail } from '../../model/summary-tail.ts';
import { tooLong } from '../gate.ts';

/** The summaries of a cell: the newest snapshot, and the stream's tail behind it. */
export interface SummarySource {
  readonly layer: { readonly current: SummarySnapshot };
  readonly tail: SummaryTail;
}

export interface SummaryQuestion extends Period {
  readonly building: BuildingRecord;
  readonly interval: Interval;
  readonly level: Level;
  readonly metric: string;
  readonly signal: AbortSignal;
}

/** Hands over rows by rising window, of one snapshot and its tail from the first to the last. */
export async function eachRow(
  { layer, tail }: SummarySource,
  question: SummaryQuestion,
  take: (row: SummaryRow) => void,
): Promise<void> {
  const { building, interval, level, metric, toMs, signal } = question;
  const snapshot = layer.current;
  const records = tail.recordsOf(building.id);
  for (let fromMs: number | null = question.fromMs; fromMs !== null && fromMs < toMs;) {
    if (signal.aborted) throw tooLong(signal.reason);
    const answer: Awaited<ReturnType<SummarySnapshot['read']>> = await snapshot.read({
      interval,
      building: building.id,
      fromMs,
      toMs,
      level,
      metric,
      tail: records,
      ...(interval === 'P1D' && { timeZone: building.timeZone }),
    });
    for (const row of answer.rows) take(row);
    fromMs = answer.nextFromMs;
  }
}
