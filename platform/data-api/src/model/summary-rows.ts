import {
  decodeAggregate,
  emptyAggregate,
  type Figures,
  figuresOf,
  mergeEncodedInto,
} from '@domicile/core/aggregate.ts';
import type { SummaryRow } from '@domicile/core/answers/serving.ts';
import { type Level, levels, type SummaryRecord, windowMs } from '@domicile/core/summary.ts';
import type { SummaryRow as LakeRow } from '@domicile/lake/serving-summaries.ts';
import { z } from 'zod';
import type { RowKey } from './page.ts';
import { timeText } from './period.ts';

/** Where a row stands: by window, level, id and metric. */
export const summaryKey = z.tuple([z.int(), z.int(), z.string(), z.string()]);

export function summaryKeyOf(row: LakeRow): RowKey {
  return [row.windowStartMs, levelRank(row.level), row.id, row.metric];
}

export function levelRank(level: Level): number {
  return levels.indexOf(level);
}

/** A row as clients see it: figures, never the aggregate itself. */
export function summaryRowOf(row: LakeRow): SummaryRow {
  const aggregate = emptyAggregate();
  for (const part of [row.base, row.late]) if (part) mergeEncodedInto(aggregate, part);
  return rowWith(row, figuresOf(aggregate));
}

/** The rows of a window as it stands in the stream, for live push. */
export function summaryRowsOfRecord(record: SummaryRecord): SummaryRow[] {
  const { windowStartMs, level, id, revision, final } = record;
  const windowEndMs = windowStartMs + windowMs;
  return Object.entries(record.metrics).map(([metric, { unit, aggregate }]) =>
    rowWith(
      { windowStartMs, windowEndMs, level, id, metric, unit, revision, final },
      figuresOf(decodeAggregate(aggregate)),
    ),
  );
}

function rowWith(row: Omit<LakeRow, 'base' | 'late'>, figures: Figures): SummaryRow {
  const { level, id, metric, unit, revision, final } = row;
  const windowStart = timeText(row.windowStartMs);
  const windowEnd = timeText(row.windowEndMs);
  return { windowStart, windowEnd, level, id, metric, unit, ...figures, revision, final };
}
