import { once } from 'node:events';
import { createWriteStream, type WriteStream } from 'node:fs';
import { open, stat, truncate } from 'node:fs/promises';
import { resolve } from 'node:path';
import { parseTime } from '@domicile/core/telemetry.ts';
import { z } from 'zod';
import { readCommandConfig } from '../config.ts';
import type { ExportFilter, ExportPosition, ExportProgress } from '../export/export-store.ts';
import { bytesText, countText } from '../model/amount-text.ts';
import {
  type Command,
  type ExitCode,
  exitCodes,
  type Given,
  type Terminal,
  UsageFault,
} from './command.ts';

const progressEveryMs = 2000;
/** Longer than any line. */
const tailBytes = 2 * 1024 * 1024;
const positionSchema = z.object({ store: z.number(), index: z.number() });

export const exportCommand: Command = {
  name: 'export',
  summary: 'Write the readings of the store as NDJSON; changes nothing',
  operands: '[file]',
  operandsMax: 1,
  options: {
    data: {
      type: 'string',
      value: 'directory',
      meaning: 'a data directory, such as a copy, in place of the configured one',
    },
    since: { type: 'string', value: 'time', meaning: 'measured at this time or later, RFC 3339' },
    until: { type: 'string', value: 'time', meaning: 'measured before this time' },
    device: {
      type: 'string',
      multiple: true,
      value: 'id',
      meaning: 'this device alone; may be given again',
    },
    output: { type: 'string', value: 'file', meaning: 'to a file in place of the standard output' },
    resume: { type: 'boolean', meaning: 'go on behind the last whole line of --output' },
  },
  more: `A line is {"store","index","device","lane","reading"}; what could not be read as a
reading has "bytes" (base64) in its place. It works beside a running agent and shows
what was on disk when it came by. Progress goes to the standard error, and so does
what cannot be read any more, by its place; the exit code is 4 then: all else is there.`,
  run: async (given, terminal) => {
    const data = given.text('data');
    const dataDirectory =
      data === undefined ? (await readCommandConfig(given.files[0])).dataDirectory : resolve(data);
    if (!(await stat(dataDirectory).catch(() => undefined))?.isDirectory())
      throw new UsageFault(`There is no directory ${dataDirectory}`);
    const output = given.text('output');
    if (given.flag('resume') && output === undefined)
      throw new UsageFault('--resume needs --output: it goes on where that file ends');
    const after = given.flag('resume') && output ? await positionIn(output) : undefined;
    const filter = { ...filterOf(given), after };
    const sink =
      output === undefined
        ? undefined
        : createWriteStream(output, { flags: given.flag('resume') ? 'a' : 'w' });
    return writeAll(dataDirectory, filter, sink ? { terminal, sink } : { terminal });
  },
};

function filterOf(given: Given): ExportFilter {
  const devices = given.texts('device');
  return {
    sinceMs: timeOf(given, 'since'),
    untilMs: timeOf(given, 'until'),
    devices: devices.length > 0 ? new Set(devices) : undefined,
  };
}

function timeOf(given: Given, name: string): number | undefined {
  const text = given.text(name);
  if (text === undefined) return undefined;
  const ms = parseTime(text) ?? parseTime(`${text}T00:00:00Z`);
  if (ms === undefined)
    throw new UsageFault(
      `--${name} must be a time as 2026-11-23T07:00:00Z or a day as 2026-11-23 (UTC)`,
    );
  return ms;
}

async function writeAll(
  dataDirectory: string,
  filter: ExportFilter,
  {
    terminal,
    sink = process.stdout,
  }: { terminal: Terminal; sink?: WriteStream | NodeJS.WriteStream },
): Promise<ExitCode> {
  const { exportLines, startedProgress } = await import('../export/export-store.ts');
  const progress = startedProgress();
  const { stop } = terminal;
  const failed = Promise.withResolvers<never>();
  failed.promise.catch(() => undefined);
  sink.once('error', failed.reject);
  const tell = () =>
    terminal.err(
      `${countText(progress.written)} of ${countText(progress.records)} readings, ${bytesText(progress.bytes)}\n`,
    );
  const timer = setInterval(tell, progressEveryMs);
  try {
    for await (const line of exportLines(dataDirectory, filter, progress)) {
      if (stop.aborted) break;
      if (!sink.write(line)) await Promise.race([once(sink, 'drain'), failed.promise]);
    }
    if (sink !== process.stdout) {
      sink.end();
      await Promise.race([once(sink, 'finish'), failed.promise]);
    }
  } catch (error) {
    // Whoever read it has enough, as `head` has.
    if (!(error instanceof Error && 'code' in error && error.code === 'EPIPE')) throw error;
  } finally {
    clearInterval(timer);
  }
  tell();
  const isWhole = progress.places.length === 0;
  if (!isWhole) terminal.err(warningOf(progress));
  if (stop.aborted) terminal.err('Stopped before the end; with --output, --resume goes on\n');
  if (stop.aborted) return exitCodes.failed;
  return isWhole ? exitCodes.done : exitCodes.notWhole;
}

const placesToldMax = 20;

function warningOf({ unreadable, places }: ExportProgress): string {
  const told = places.slice(0, placesToldMax).map(({ store, from, to }) => {
    if (to === undefined) return `store ${store} index ${from} and on, nobody knows how many`;
    return `store ${store} index ${from}${to - from > 1 ? `–${to - 1}` : ''}`;
  });
  const more = places.length - told.length;
  return [
    `WARNING: ${countText(unreadable)} records cannot be read and are not in the export:`,
    ...told.map((place) => `  ${place}`),
    ...(more > 0 ? [`  and ${countText(more)} places more`] : []),
    'The disk may be failing: copy the data directory now. The cell is told of what was not sent yet.',
    '',
  ].join('\n');
}

/** What the last whole line of a file says; what stands behind it is cut off. Undefined if there is none yet. */
async function positionIn(path: string): Promise<ExportPosition | undefined> {
  const size = (await stat(path).catch(() => undefined))?.size ?? 0;
  if (size === 0) return undefined;
  const from = Math.max(0, size - tailBytes);
  let tail: Buffer;
  {
    await using file = await open(path, 'r');
    tail = Buffer.alloc(size - from);
    await file.read(tail, 0, tail.length, from);
  }
  const end = tail.lastIndexOf(0x0a);
  await truncate(path, from + end + 1);
  if (end < 0) return undefined;
  const line = tail.subarray(tail.lastIndexOf(0x0a, end - 1) + 1, end).toString();
  try {
    return positionSchema.parse(JSON.parse(line));
  } catch (cause) {
    throw new UsageFault(`${path} ends in a line that is not of an export`, { cause });
  }
}
