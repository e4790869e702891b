import { writeParquet } from '@domicile/lake/parquet/write-parquet.ts';
import type { Response } from 'express';
import type { Page } from '../model/page.ts';
import { contentTypes, csvOf, type Format, linesOf } from './answer.ts';
import { sendArrow } from './arrow.ts';

type Row = Readonly<Record<string, string | number | null>>;

/** Sends a page of flat rows. `texts` are the columns that hold text; the others hold numbers. */
export async function sendRows(
  format: Format,
  response: Response,
  { rows, next }: Page<Row>,
  columns: { readonly all: readonly string[]; readonly texts: readonly string[] },
): Promise<void> {
  response.setHeader('Content-Type', contentTypes[format]);
  if (format === 'ndjson') response.end(linesOf(rows));
  else if (format === 'csv') response.end(csvOf(columns.all, rows));
  else if (format === 'json') response.json({ rows, next });
  else if (format === 'arrow') await sendArrowRows(response, rows, columns);
  else sendParquet(response, rows, columns);
}

function sendParquet(
  response: Response,
  rows: readonly Row[],
  { all, texts }: { readonly all: readonly string[]; readonly texts: readonly string[] },
): void {
  const columns = all.map((name) => ({
    name,
    type: texts.includes(name) ? ('utf8' as const) : ('double' as const),
    nullable: true,
  }));
  const values = new Map(all.map((name) => [name, rows.map((row) => row[name] ?? null)]));
  response.end(writeParquet({ columns, values }));
}

async function sendArrowRows(
  response: Response,
  rows: readonly Row[],
  { all, texts }: { readonly all: readonly string[]; readonly texts: readonly string[] },
): Promise<void> {
  const columns = all.map((name) => ({
    name,
    type: texts.includes(name) ? ('utf8' as const) : ('double' as const),
  }));
  const gone = new AbortController();
  response.once('close', () => gone.abort());
  const chunk = all.map((name) => rows.map((row) => row[name] ?? null));
  await sendArrow(response, columns, [chunk], gone.signal);
}
