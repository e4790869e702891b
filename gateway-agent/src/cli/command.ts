import { parseArgs, type ParseArgsOptionsConfig } from 'node:util';
import { nearestWord } from '../model/near-word.ts';

/** What is said of exit codes in the help, too. */
export const exitCodes = { done: 0, failed: 1, usage: 2, noAgent: 3, notWhole: 4 } as const;

export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];

/** Where a command speaks. */
export interface Terminal {
  readonly out: (text: string) => void;
  /** Progress and complaints. */
  readonly err: (text: string) => void;
  readonly isLive: boolean;
  readonly columns: number;
  readonly rows: number;
  readonly hasColour: boolean;
  /** Aborts on Ctrl-C or SIGTERM. */
  readonly stop: AbortSignal;
}

export interface Option {
  readonly type: 'string' | 'boolean';
  readonly multiple?: boolean;
  /** How the value is called in the help. */
  readonly value?: string;
  readonly meaning: string;
}

export interface Given {
  readonly files: readonly string[];
  flag(name: string): boolean;
  text(name: string): string | undefined;
  texts(name: string): readonly string[];
}

export interface Command {
  readonly name: string;
  /** One line. */
  readonly summary: string;
  /** What stands after the name in the help. */
  readonly operands: string;
  readonly operandsMax: number;
  readonly options: Readonly<Record<string, Option>>;
  /** More of the help, in whole lines. */
  readonly more?: string;
  readonly run: (given: Given, terminal: Terminal) => Promise<ExitCode>;
}

/** The command line is wrong; the message says what to type. */
export class UsageFault extends Error {
  override readonly name = 'UsageFault';
}

/** Throws `UsageFault`. */
export function readArguments(command: Command, args: readonly string[]): Given {
  const config: ParseArgsOptionsConfig = Object.fromEntries(
    Object.entries(command.options).map(([name, { type, multiple = false }]) => [
      name,
      { type, multiple },
    ]),
  );
  const { values, positionals } = parsed(command, args, config);
  if (positionals.length > command.operandsMax)
    throw new UsageFault(
      `Too many arguments: \`${positionals[command.operandsMax]}\` is not expected`,
    );
  const valueOf = (name: string) => values[name];
  return {
    files: positionals,
    flag: (name) => valueOf(name) === true,
    text: (name) => {
      const value = valueOf(name);
      return typeof value === 'string' ? value : undefined;
    },
    texts: (name) => {
      const value = valueOf(name);
      return Array.isArray(value) ? value.filter((one) => typeof one === 'string') : [];
    },
  };
}

function parsed(command: Command, args: readonly string[], options: ParseArgsOptionsConfig) {
  try {
    return parseArgs({ args: [...args], options, allowPositionals: true, strict: true });
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : '';
    const unknown = /Unknown option '(--?[^']+)'/.exec(message)?.[1];
    if (unknown === undefined)
      throw new UsageFault(message.split('. ', 1)[0] ?? message, { cause });
    const meant = nearestWord(unknown.replace(/^-+/, ''), Object.keys(command.options));
    throw new UsageFault(
      `There is no option ${unknown}${meant === undefined ? '' : `; did you mean --${meant}?`}`,
      { cause },
    );
  }
}

/** The help of one command. */
export function helpOf({ name, summary, operands, options, more }: Command): string {
  const rows = Object.entries(options).map(([option, { type, value = 'value', meaning }]) => [
    type === 'boolean' ? `--${option}` : `--${option} <${value}>`,
    meaning,
  ]);
  const width = Math.max(0, ...rows.map(([left = '']) => left.length));
  const told = rows.map(([left = '', right = '']) => `  ${left.padEnd(width)}  ${right}`);
  return [
    summary,
    '',
    `  domicile-gateway ${name}${operands === '' ? '' : ` ${operands}`}${rows.length > 0 ? ' [options]' : ''}`,
    ...(told.length > 0 ? ['', ...told] : []),
    ...(more === undefined ? [] : ['', more]),
    '',
  ].join('\n');
}
