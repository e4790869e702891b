import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { PlatformError } from '@domicile/core/errors.ts';
import { defaultCacheDir } from './cache-dir.ts';

const run = promisify(execFile);

/** The Python of a virtual environment with these packages, made once. Throws `UPSTREAM_UNAVAILABLE` with what to do. */
export async function pythonWith(requirements: readonly string[]): Promise<string> {
  const digest = createHash('sha256').update(requirements.join(' ')).digest('hex').slice(0, 8);
  const names = requirements.map((one) => one.replaceAll('==', '-')).join('-');
  const dir = join(defaultCacheDir, `python-${names.slice(0, 80)}-${digest}`);
  if (!existsSync(dir)) {
    const passing = `${dir}.${process.pid}`;
    await mkdir(defaultCacheDir, { recursive: true });
    try {
      await run('python3', ['-m', 'venv', passing]);
      const pip = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check'];
      await run(join(passing, 'bin/python'), [...pip, ...requirements]);
    } catch (cause) {
      await rm(passing, { recursive: true, force: true });
      throw new PlatformError(
        'UPSTREAM_UNAVAILABLE',
        `Cannot make a Python environment: python3 with venv and ${requirements.join(', ')} are needed`,
        { cause },
      );
    }
    await rename(passing, dir).catch(() => rm(passing, { recursive: true, force: true }));
  }
  return join(dir, 'bin/python');
}

const answerTimeoutMs = 20_000;

/**
 * A Python program that answers each line of JSON on its standard input with one on its standard output; it says one line
 * first, when it is ready. Disposing kills it.
 */
export class PythonPeer implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;
  /** What it said first. */
  readonly greeting: unknown;

  private constructor(child: ChildProcess, lines: AsyncIterator<string>, greeting: unknown) {
    this.#child = child;
    this.#lines = lines;
    this.greeting = greeting;
  }

  static async start(
    program: string,
    requirements: readonly string[],
    parameters: readonly string[] = [],
  ): Promise<PythonPeer> {
    const python = await pythonWith(requirements);
    const child = spawn(python, ['-u', '-c', program, ...parameters], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    try {
      return new PythonPeer(child, lines, await nextIn(lines));
    } catch (error) {
      child.kill('SIGKILL');
      throw error;
    }
  }

  async ask(question: object): Promise<unknown> {
    this.#child.stdin?.write(`${JSON.stringify(question)}\n`);
    return nextIn(this.#lines);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exited = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await exited;
  }
}

async function nextIn(lines: AsyncIterator<string>): Promise<unknown> {
  const { promise, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(
    () => reject(new Error('Cannot wait: Python is silent')),
    answerTimeoutMs,
  );
  try {
    const { value, done } = await Promise.race([lines.next(), promise]);
    if (done === true) throw new Error('Cannot read: Python ended');
    return JSON.parse(value);
  } finally {
    clearTimeout(timer);
  }
}
