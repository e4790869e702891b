import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';

export interface Outcome {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

const program = join(import.meta.dirname, '../../bin/domicile-gateway.js');

/** The program as a person starts it. */
export function startCli(
  args: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): { readonly child: ChildProcess; readonly ended: Promise<Outcome> } {
  const child = spawn(process.execPath, [program, ...args], { env: environment });
  const ended = Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]).then(
    ([out, err]) => ({ code: child.exitCode, out, err }),
  );
  return { child, ended };
}

export function cli(...args: string[]): Promise<Outcome> {
  return startCli(args).ended;
}
