import type { BuildingRecord } from '@domicile/core/building.ts';
import { levels } from '@domicile/core/summary.ts';
import {
  rowsMax,
  type SummaryAnswer,
  type SummaryQuery,
  type SummaryRow,
  type SummarySnapshot,
} from '@domicile/lake/serving-summaries.ts';
import type { Request, Response } from 'express';
import { z } from 'zod';
import { formatOf, isUnchanged, linkNext, sendCsv, sendLines } from '../http/answer.ts';
import { intervals, summaryRow } from '../model/api.ts';
import { compareKeys, cursorText, parseCursor } from '../model/page.ts';
import { idNames, metricNames, pageShape, periodShape, readQuery } from '../model/parameters.ts';
import { periodMsMax, timeText } from '../model/period.ts';
import { summaryKey, summaryKeyOf, summaryRowOf } from '../model/summary-rows.ts';
import type { ServingView } from './view.ts';

const summariesShape = {
  ...periodShape,
  ...pageShape,
  interval: z.enum(intervals).default('PT1M'),
  level: z.enum(levels).optional(),
  id: idNames.optional(),
  metric: metricNames.optional(),
};

type SummariesQuery = z.output<z.ZodObject<typeof summariesShape>>;

/** Rows to read beyond the limit, so that a page seldom needs a second look. */
const rowsSpare = 2_000;
const columns = Object.keys(summaryRow.shape);

/** `GET /v1/buildings/{b}/summaries`: the newest snapshot, and the stream's tail behind it. */
export async function answerSummaries(
  view: ServingView,
  building: BuildingRecord,
  request: Request,
  response: Response,
): Promise<void> {
  const query = readQuery(summariesShape, request.query, periodMsMax);
  const format = formatOf(request, ['json', 'ndjson', 'csv']);
  const { layer, tail } = view;
  const snapshot = layer.current;
  const version = [`${snapshot.number}`, tail.versionOf(building.id)];
  if (isUnchanged(request, response, version)) return;
  // Taken before anything is awaited: what is dropped from the tail meanwhile is not in this snapshot.
  const asked = { building, query, snapshot, tail: tail.recordsOf(building.id) };
  const throughMs = tail.throughMsOf(building.id);
  const { rows, next } = await readPage(asked);
  linkNext(request, response, next);
  const answered = rows.map(summaryRowOf);
  if (format === 'ndjson') sendLines(response, answered);
  else if (format === 'csv') sendCsv(response, columns, answered);
  else
    response.json({
      building: building.id,
      country: building.country,
      interval: query.interval,
      rows: answered,
      through: throughOf(rows, query.to, throughMs),
      next,
    });
}

interface Asked {
  readonly building: BuildingRecord;
  readonly query: SummariesQuery;
  readonly snapshot: SummarySnapshot;
  readonly tail: NonNullable<SummaryQuery['tail']>;
}

async function readPage({ building, query, snapshot, tail }: Asked) {
  const { limit, interval, level, to } = query;
  const after = parseCursor(query.cursor, summaryKey);
  const [id, metric] = [only(query.id), only(query.metric)];
  const rows: SummaryRow[] = [];
  let fromMs: number | null = after ? Math.max(after[0], query.from) : query.from;
  while (fromMs !== null && fromMs < to && rows.length <= limit) {
    const answer: SummaryAnswer = await snapshot.read({
      interval,
      building: building.id,
      fromMs,
      toMs: to,
      tail,
      rowsMax: Math.min(rowsMax, limit + rowsSpare),
      ...(interval === 'P1D' && { timeZone: building.timeZone }),
      ...(level && { level }),
      ...(id !== undefined && { id }),
      ...(metric !== undefined && { metric }),
    });
    for (const row of answer.rows)
      if (isAsked(row, query) && (!after || compareKeys(summaryKeyOf(row), after) > 0))
        rows.push(row);
    fromMs = answer.nextFromMs;
  }
  const page = rows.slice(0, limit);
  const last = page.at(-1);
  return { rows: page, next: last && rows.length > limit ? cursorText(summaryKeyOf(last)) : null };
}

function only(names: readonly string[] | undefined): string | undefined {
  return names?.length === 1 ? names[0] : undefined;
}

function isAsked({ id, metric }: SummaryRow, query: SummariesQuery): boolean {
  return (query.id?.includes(id) ?? true) && (query.metric?.includes(metric) ?? true);
}

/** The tail knows where the newest closed window ends; before it has seen one, the rows themselves tell. */
function throughOf(
  rows: readonly SummaryRow[],
  toMs: number,
  tailMs: number | undefined,
): string | null {
  const known = rows.filter(({ final }) => final).map(({ windowEndMs }) => windowEndMs);
  const throughMs = tailMs ?? known.reduce((a, b) => Math.max(a, b), -Infinity);
  return throughMs === -Infinity ? null : timeText(Math.min(throughMs, toMs));
}
