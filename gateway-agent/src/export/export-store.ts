import { join } from 'node:path';
import { parseTime } from '@domicile/core/telemetry.ts';
import { z } from 'zod';
import type { StoredRecord } from '../model/record.ts';
import { readStore, type Unreadable } from '../store/read-stores.ts';
import { nameOf, storesIn } from '../store/store-set.ts';

/** Where in the stores an export stands: as the fields of its last line. */
export interface ExportPosition {
  readonly store: number;
  readonly index: number;
}

export interface ExportFilter {
  /** By when it was measured, milliseconds; what has no time that can be read is left out if there is a bound. */
  readonly sinceMs?: number | undefined;
  /** Not included. */
  readonly untilMs?: number | undefined;
  /** Absent: all. */
  readonly devices?: ReadonlySet<string> | undefined;
  /** What comes after this. */
  readonly after?: ExportPosition | undefined;
}

export interface ExportProgress {
  records: number;
  written: number;
  bytes: number;
  /** Records that cannot be read, of all devices and times, as far as their number is known. */
  unreadable: number;
  /** Where they stand, the first of them. */
  readonly places: (Unreadable & { readonly store: number })[];
}

export function startedProgress(): ExportProgress {
  return { records: 0, written: 0, bytes: 0, unreadable: 0, places: [] };
}

const placesMax = 1000;

const timed = z.object({ at: z.union([z.string(), z.number()]) });

/**
 * Lines of NDJSON, each with its newline, in the order of the stores: `{"store","index","device","lane","reading"}`, where `reading` is
 * as it goes to the cell, or `bytes` in base64 for what could not be read as one. Writes nothing to the stores.
 */
export async function* exportLines(
  dataDirectory: string,
  filter: ExportFilter,
  progress: ExportProgress,
): AsyncGenerator<string> {
  const { after } = filter;
  for (const store of await storesIn(dataDirectory)) {
    if (after && store < after.store) continue;
    const from = after?.store === store ? after.index + 1 : 0;
    const missed = ({ from: begin, to }: Unreadable) => {
      const first = Math.max(begin, from);
      if (to !== undefined && to <= first) return;
      progress.unreadable += to === undefined ? 0 : to - first;
      if (progress.places.length < placesMax) progress.places.push({ store, from: first, to });
    };
    for await (const record of readStore(join(dataDirectory, nameOf(store)), missed)) {
      if (record.index < from) continue;
      progress.records += 1;
      const line = lineOf(store, record, filter);
      if (line === undefined) continue;
      progress.written += 1;
      progress.bytes += line.length;
      yield line;
    }
  }
}

function lineOf(store: number, record: StoredRecord, filter: ExportFilter): string | undefined {
  const { index, device, lane, kind, body } = record;
  if (filter.devices && !filter.devices.has(device)) return undefined;
  const head = `{"store":${store},"index":${index},"device":${JSON.stringify(device)},"lane":"${lane}"`;
  const isBounded = filter.sinceMs !== undefined || filter.untilMs !== undefined;
  if (kind === 'opaque')
    return isBounded ? undefined : `${head},"bytes":"${body.toString('base64')}"}\n`;
  const text = body.toString();
  if (isBounded && !isWithin(text, filter)) return undefined;
  // What came as JSON may have line breaks between its parts; within strings it has none.
  return `${head},"reading":${text.replaceAll(/[\r\n]+\s*/g, ' ')}}\n`;
}

function isWithin(
  text: string,
  { sinceMs = -Infinity, untilMs = Infinity }: ExportFilter,
): boolean {
  const atMs = measuredMs(text);
  return atMs !== undefined && atMs >= sinceMs && atMs < untilMs;
}

function measuredMs(text: string): number | undefined {
  const read = timed.safeParse(JSON.parse(text));
  if (!read.success) return undefined;
  const { at } = read.data;
  return typeof at === 'number' ? at : parseTime(at);
}
