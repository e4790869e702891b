import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createReadStream } from 'node:fs';
import { rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { rawRow } from '@domicile/core/answers/raw.ts';
import type { DuckDBConnection, DuckDBValue } from '@duckdb/node-api';
import type { Response } from 'express';
import { contentTypes, csvLine, type Format, mediaTypes } from '../http/answer.ts';
import { type ArrowType, sendArrow } from '../http/arrow.ts';
import { microsText } from '../model/raw-rows.ts';
import { textLiteral } from './engine.ts';
import type { PageReady } from './raw-page.ts';

const rawColumns = Object.keys(rawRow.shape);

interface Sending {
  readonly connection: DuckDBConnection;
  readonly page: PageReady;
  /** RFC 3339; told if the question reaches behind it. */
  readonly retainedFrom: string | undefined;
  readonly scratchDir: string;
  readonly signal: AbortSignal;
}

/** Sends a page that stands ready, a chunk of rows at a time as fast as it is taken. */
export async function sendPage(
  format: Format,
  response: Response,
  sending: Sending,
): Promise<void> {
  if (format === 'parquet') await sendParquet(response, sending);
  else if (format === 'arrow')
    await sendArrow(response, arrowColumns, chunksOf(sending), sending.signal);
  else await sendText(format, response, sending);
}

interface TextForm {
  readonly head: string;
  row(values: readonly unknown[], isFirst: boolean): string;
  readonly end: string;
}

function json(values: readonly unknown[]): string {
  return JSON.stringify(Object.fromEntries(rawColumns.map((name, index) => [name, values[index]])));
}

function textForm(
  format: Exclude<Format, 'parquet' | 'arrow'>,
  { page: { next }, retainedFrom }: Sending,
): TextForm {
  if (format === 'csv')
    return {
      head: csvLine(rawColumns),
      row: csvLine,
      end: '',
    };
  if (format === 'ndjson') return { head: '', row: (values) => `${json(values)}\n`, end: '' };
  return {
    head: '{"rows":[',
    row: (values, isFirst) => `${isFirst ? '' : ','}${json(values)}`,
    end: `],${JSON.stringify({ next, retainedFrom }).slice(1)}`,
  };
}

async function sendText(
  format: Exclude<Format, 'parquet' | 'arrow'>,
  response: Response,
  sending: Sending,
): Promise<void> {
  const form = textForm(format, sending);
  response.setHeader('Content-Type', contentTypes[format]);
  response.write(form.head);
  let isFirst = true;
  for await (const columns of chunksOf(sending)) {
    const lines: string[] = [];
    for (const index of columns[0]?.keys() ?? []) {
      lines.push(form.row(plainValues(columns, index), isFirst));
      isFirst = false;
    }
    await written(response, lines.join(''), sending.signal);
  }
  response.end(form.end);
}

/** Resolves when the reader may take more; throws when it has gone or the deadline has passed. */
async function written(response: Response, text: string, signal: AbortSignal): Promise<void> {
  if (response.write(text)) return;
  await once(response, 'drain', { signal });
}

const measured = rawColumns.indexOf('measuredAt');
const received = rawColumns.indexOf('receivedAt');

function plainValues(columns: readonly (readonly DuckDBValue[])[], row: number): unknown[] {
  return columns.map((values, index) => {
    const value = values[row];
    if (typeof value !== 'bigint') return value;
    return index === measured || index === received ? microsText(value) : Number(value);
  });
}

async function sendParquet(
  response: Response,
  { connection, page, scratchDir, signal }: Sending,
): Promise<void> {
  const file = join(scratchDir, `${randomUUID()}.parquet`);
  try {
    await connection.run(
      `copy (${page.select}) to ${textLiteral(file)} (format parquet, compression zstd, parquet_version v1)`,
    );
    response.setHeader('Content-Type', mediaTypes.parquet);
    response.setHeader('Content-Length', (await stat(file)).size);
    await pipeline(createReadStream(file), response, { signal });
  } finally {
    await rm(file, { force: true });
  }
}

const typed: Readonly<Record<string, ArrowType>> = {
  measuredAt: 'timestamp',
  receivedAt: 'timestamp',
  value: 'double',
  seq: 'int64',
  kafkaPartition: 'int32',
  kafkaOffset: 'int64',
};
const arrowColumns = rawColumns.map((name) => ({ name, type: typed[name] ?? ('utf8' as const) }));

async function* chunksOf({ connection, page }: Sending): AsyncGenerator<DuckDBValue[][]> {
  const result = await connection.stream(page.selectMicros);
  for (let chunk = await result.fetchChunk(); chunk && chunk.rowCount > 0;) {
    yield chunk.getColumns();
    chunk = await result.fetchChunk();
  }
}
