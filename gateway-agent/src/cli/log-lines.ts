import type { DestinationStream } from 'pino';
import { z } from 'zod';
import type { Terminal } from './command.ts';

const lineSchema = z.looseObject({
  level: z.number(),
  time: z.string(),
  msg: z.string().default(''),
});
const words: readonly (readonly [number, string])[] = [
  [50, 'ERROR'],
  [40, 'WARN '],
  [30, 'info '],
];

/** What a line says again within this is counted and not repeated. */
const repeatMs = 10_000;

/** Log lines for a person: `12:03:04 WARN  Uplink lost  reason="the connection closed"`. */
export function textLines(
  { out }: Pick<Terminal, 'out'>,
  now: () => number = Date.now,
): DestinationStream {
  let last = { said: '', atMs: -Infinity, again: 0 };
  return {
    write(line) {
      const text = textLine(line);
      // Without the time and the id of the request.
      const said = text.slice(8).replace(/ requestId=\S+/, '');
      if (said === last.said && now() - last.atMs < repeatMs) {
        last.again += 1;
        return;
      }
      const before = last.again > 0 ? `         … ${last.again} times more\n` : '';
      last = { said, atMs: now(), again: 0 };
      out(`${before}${text}\n`);
    },
  };
}

/** `line` is JSON as pino writes it. What is none is passed on as it is. */
export function textLine(line: string): string {
  let json: unknown;
  try {
    json = JSON.parse(line);
  } catch {
    return line.trimEnd();
  }
  const read = lineSchema.safeParse(json);
  if (!read.success) return line.trimEnd();
  const { level, time, msg, service: _service, err, ...fields } = read.data;
  const word = words.find(([from]) => level >= from)?.[1] ?? 'debug';
  const told = Object.entries(fields).map(([name, value]) => ` ${name}=${valueText(value)}`);
  return `${clockText(time)} ${word} ${msg}${told.length > 0 ? ' ' : ''}${told.join('')}${errorText(err, level)}`;
}

/** Of the gateway's own zone: it is read beside a watch. */
function clockText(time: string): string {
  const at = new Date(time);
  return [at.getHours(), at.getMinutes(), at.getSeconds()]
    .map((part) => `${part}`.padStart(2, '0'))
    .join(':');
}

function valueText(value: unknown): string {
  if (typeof value === 'string' && /^[\w.:/@+-]+$/.test(value)) return value;
  return JSON.stringify(value);
}

/** Where in the code it was is for errors, which are ours to mend. */
function errorText(err: unknown, level: number): string {
  const read = z.object({ message: z.string(), stack: z.string().optional() }).safeParse(err);
  if (!read.success) return '';
  const { message, stack = message } = read.data;
  return level < 50 ? `: ${message}` : `\n  ${stack.replaceAll('\n', '\n  ')}`;
}
