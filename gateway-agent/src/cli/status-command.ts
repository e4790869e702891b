import { setTimeout as wait } from 'node:timers/promises';
import { readCommandConfig } from '../config.ts';
import {
  type StatusLine,
  statusSummary,
  type StatusSummary,
  type Tone,
} from '../model/status-text.ts';
import { type Command, exitCodes, type Terminal, UsageFault } from './command.ts';
import { NoAgent, statusOfAgent } from './running-agent.ts';

const refreshMs = 2000;
const clearScreen = '\u001B[H\u001B[2J\u001B[3J';
const colours: Readonly<Record<Tone, string>> = {
  good: '\u001B[32m',
  warn: '\u001B[33m',
  bad: '\u001B[31m',
  plain: '',
};
const plain = '\u001B[0m';
const devicesOnce = 20;
const unbounded = { rows: Infinity, columns: Infinity };

export const statusCommand: Command = {
  name: 'status',
  summary: 'Show what the running agent does: link, lanes, store, devices, errors',
  operands: '[file]',
  operandsMax: 1,
  options: {
    once: { type: 'boolean', meaning: 'print it once and end; so it is without a terminal' },
    json: { type: 'boolean', meaning: 'print it once as JSON' },
  },
  more: 'On a terminal it is refreshed every 2 s until Ctrl-C. It shows no readings.',
  run: async (given, terminal) => {
    if (given.flag('once') && given.flag('json'))
      throw new UsageFault('--json prints once already: leave out --once');
    const config = await readCommandConfig(given.files[0]);
    const report = await statusOfAgent(config);
    if (given.flag('json')) {
      terminal.out(`${JSON.stringify(report, undefined, 2)}\n`);
      return exitCodes.done;
    }
    if (given.flag('once') || !terminal.isLive) {
      terminal.out(
        `${screenOf(statusSummary(report), { ...terminal, ...unbounded }).join('\n')}\n`,
      );
      return exitCodes.done;
    }
    let next: string[] = screenOf(statusSummary(report), terminal);
    const { stop } = terminal;
    while (!stop.aborted) {
      terminal.out(`${clearScreen}${next.join('\n')}\n`);
      await wait(refreshMs, undefined, { signal: stop }).catch(() => undefined);
      next = await statusOfAgent(config)
        .then((now) => screenOf(statusSummary(now), terminal))
        .catch((error: unknown) => {
          if (error instanceof NoAgent) return [error.message];
          throw error;
        });
    }
    terminal.out('\n');
    return exitCodes.done;
  },
};

type Screen = Pick<Terminal, 'columns' | 'rows' | 'hasColour'>;

function screenOf(summary: StatusSummary, screen: Screen): string[] {
  const { title, program, lines, devices, errors } = summary;
  const width = Math.max(...lines.map(({ label }) => label.length)) + 2;
  const head = [`${title}   ${program}`, '', ...lines.map((line) => lineText(line, width, screen))];
  const room = Math.max(3, Math.min(screen.rows, 1000) - head.length - 4);
  const errorRoom = Math.min(errors.length, Math.ceil(room / 3), 8);
  const deviceRoom = Math.min(
    devices.length,
    room - errorRoom,
    screen.rows === Infinity ? devicesOnce : 1000,
  );
  return [
    ...head,
    ...section('Devices', { lines: devices, room: deviceRoom, screen }),
    ...section('Last errors', { lines: errors, room: errorRoom, screen }),
  ];
}

function section(
  title: string,
  { lines, room, screen }: { lines: readonly StatusLine[]; room: number; screen: Screen },
): string[] {
  if (lines.length === 0 || room === 0) return [];
  const shown = lines.slice(0, room);
  const width = Math.max(...shown.map(({ label }) => label.length)) + 2;
  const rest = lines.length > room ? [`  … and ${lines.length - room} more`] : [];
  return ['', title, ...shown.map((line) => `  ${lineText(line, width, screen)}`), ...rest];
}

function lineText({ label, text, tone }: StatusLine, width: number, screen: Screen): string {
  const cut = cutTo(text, Math.max(20, screen.columns - width - 3));
  const colour = screen.hasColour ? colours[tone] : '';
  return `${label.padEnd(width)}${colour}${cut}${colour === '' ? '' : plain}`;
}

function cutTo(text: string, length: number): string {
  return text.length > length ? `${text.slice(0, length - 1)}…` : text;
}
