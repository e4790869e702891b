import { createHash } from 'node:crypto';
import { PlatformError } from '@domicile/core/errors.ts';
import type { Request, Response } from 'express';

export const mediaTypes = {
  json: 'application/json',
  ndjson: 'application/x-ndjson',
  csv: 'text/csv',
  parquet: 'application/vnd.apache.parquet',
  arrow: 'application/vnd.apache.arrow.stream',
} as const;

export type Format = keyof typeof mediaTypes;

/** As `Content-Type` has them. */
export const contentTypes: Readonly<Record<Format, string>> = {
  ...mediaTypes,
  json: `${mediaTypes.json}; charset=utf-8`,
  csv: `${mediaTypes.csv}; charset=utf-8; header=present`,
};

/** What the request accepts of `formats`, the first one if it says nothing. Throws `NOT_ACCEPTABLE`. */
export function formatOf<Offered extends Format>(
  request: Request,
  formats: readonly Offered[],
): Offered {
  const accepted = request.accepts(formats.map((format) => mediaTypes[format]));
  const format = formats.find((one) => mediaTypes[one] === accepted);
  if (format) return format;
  const offered = formats.map((one) => mediaTypes[one]).join(', ');
  throw new PlatformError('NOT_ACCEPTABLE', `Cannot answer in that format: ${offered} are offered`);
}

/** What the answer is known by: the same request over the same data has the same. */
export function etagOf(request: Request, parts: readonly string[]): string {
  const digest = createHash('sha256')
    .update([request.originalUrl, request.get('accept') ?? '', ...parts].join('\n'))
    .digest('base64url');
  return `W/"${digest.slice(0, 22)}"`;
}

/**
 * Whether the client has that answer already: `If-None-Match`, compared weakly (RFC 9110, 13.1.2). Express's own `fresh` would not do: it
 * disregards who sends `Cache-Control: no-cache` beside it, as every `fetch` does.
 */
export function knows(request: Request, etag: string): boolean {
  const known = (request.get('if-none-match') ?? '').split(',').map((one) => one.trim());
  return known.includes('*') || known.some((one) => opaque(one) === opaque(etag));
}

function opaque(etag: string): string {
  return etag.replace(/^W\//, '');
}

/** Sets the ETag; true if the client has that answer already and has been told so. */
export function isUnchanged(request: Request, response: Response, etag: string): boolean {
  response.setHeader('ETag', etag);
  response.vary('Accept');
  if (!knows(request, etag)) return false;
  response.status(304).end();
  return true;
}

/** Where the next page is, for formats that have no place for it. */
export function linkNext(request: Request, response: Response, next: string | null): void {
  if (next === null) return;
  const [path = '', query = ''] = request.originalUrl.split('?');
  const parameters = new URLSearchParams(query);
  parameters.set('cursor', next);
  response.setHeader('Link', `<${path}?${parameters.toString()}>; rel="next"`);
}

export function linesOf(rows: Iterable<unknown>): string {
  return [...rows].map((row) => `${JSON.stringify(row)}\n`).join('');
}

/** RFC 4180, with a line of names. */
export function csvOf(
  columns: readonly string[],
  rows: Iterable<Readonly<Record<string, unknown>>>,
): string {
  return csvLine(columns) + [...rows].map((row) => csvLine(cellsOf(row, columns))).join('');
}

function cellsOf(row: Readonly<Record<string, unknown>>, columns: readonly string[]): unknown[] {
  return columns.map((column) => row[column]);
}

export function csvLine(cells: readonly unknown[]): string {
  return `${cells.map(csvCell).join(',')}\r\n`;
}

function csvCell(value: unknown): string {
  if (value === null || value === undefined) return '';
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
