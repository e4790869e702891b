import { intervals, summaryRow } from '@domicile/core/answers/serving.ts';
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
import {
  contentTypes,
  csvOf,
  etagOf,
  formatOf,
  isUnchanged,
  linesOf,
  linkNext,
} from '../http/answer.ts';
import { compareKeys, cursorText, type Page, parseCursor } from '../model/page.ts';
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
  const { layer, tail, answers } = view;
  const snapshot = layer.current;
  const throughMs = tail.throughMsOf(building.id);
  const etag = etagOf(request, [
    `${snapshot.number}`,
    building.timeZone,
    tail.versionOf(building.id, { fromMs: query.from, toMs: query.to }),
    throughMs === undefined ? '' : `${Math.min(throughMs, query.to)}`,
  ]);
  if (isUnchanged(request, response, etag)) return;
  let answer = answers.get(etag);
  if (!answer) {
    // Taken before anything is awaited: what is dropped from the tail meanwhile is not in this snapshot.
    const asked = { building, query, snapshot, tail: tail.recordsOf(building.id), throughMs };
    const page = await readPage(asked);
    answer = { body: bodyOf(format, asked, page), next: page.next };
    answers.put(etag, answer);
  }
  linkNext(request, response, answer.next);
  response.setHeader('Content-Type', contentTypes[format]);
  response.end(answer.body);
}

function bodyOf(
  format: 'json' | 'ndjson' | 'csv',
  { building, query, throughMs }: Asked,
  { rows, next }: Page<SummaryRow>,
): Buffer {
  const answered = rows.map(summaryRowOf);
  if (format === 'ndjson') return Buffer.from(linesOf(answered));
  if (format === 'csv') return Buffer.from(csvOf(columns, answered));
  const through = throughOf(rows, query.to, throughMs);
  const { id, country } = building;
  const { interval } = query;
  return Buffer.from(
    JSON.stringify({ building: id, country, interval, rows: answered, through, next }),
  );
}

interface Asked {
  readonly building: BuildingRecord;
  readonly query: SummariesQuery;
  readonly snapshot: SummarySnapshot;
  readonly tail: NonNullable<SummaryQuery['tail']>;
  readonly throughMs: number | undefined;
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
