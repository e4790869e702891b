import { type ChildProcess, spawn } from 'node:child_process';
import { PlatformError } from '@domicile/core/errors.ts';
import { must } from '@domicile/core/invariants.ts';
import { type Step, stepSchema } from './predecessor.ts';
import type { KeptSocket } from './socket-keeper.ts';

export interface SuccessorOptions {
  /** Program and arguments. */
  readonly command: readonly string[];
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly sockets: readonly KeptSocket[];
  /** How long it may take to be ready, and then to listen. */
  readonly readyTimeoutMs: number;
}

/** The agent that goes on in this one's place, as this one sees it. */
export class Successor {
  readonly #child: ChildProcess;
  readonly #timeoutMs: number;
  readonly #steps: Step[] = [];
  #wake: () => void = () => undefined;
  #end: string | undefined;

  /** Starts it with the sockets as its descriptors from 3 on, as systemd does it (sd_listen_fds(3)), and the channel behind them. */
  constructor({ command, environment, sockets, readyTimeoutMs }: SuccessorOptions) {
    const [program = '', ...args] = command;
    this.#timeoutMs = readyTimeoutMs;
    this.#child = spawn(program, args, {
      env: environment,
      stdio: ['ignore', 'inherit', 'inherit', ...sockets.map(({ fd }) => fd), 'ipc'],
    });
    this.#child.on('message', (message) => this.#heard(message));
    this.#child.once('error', (error) => this.#ended(error.message));
    this.#child.once('exit', (code, signal) => this.#ended(`it ended with ${signal ?? code}`));
  }

  get pid(): number {
    return must(this.#child.pid, 'A process that said something has an id');
  }

  /** Calls back when it has ended, for whatever reason. */
  onEnd(listener: () => void): void {
    if (this.#end === undefined) this.#child.once('exit', listener);
    else listener();
  }

  /** Resolves when it has checked and opened all that it can before it listens. Throws `UPSTREAM_UNAVAILABLE`. */
  ready(): Promise<void> {
    return this.#waitFor('ready');
  }

  /** Lets it listen; resolves when it takes connections. Throws `UPSTREAM_UNAVAILABLE`. */
  async listen(): Promise<void> {
    const step: Step = 'listen';
    this.#child.send(step, () => undefined);
    await this.#waitFor('listening');
  }

  /** At once. What it has acked is on disk. */
  kill(): void {
    this.#child.kill('SIGKILL');
  }

  /** This process may end before it. */
  release(): void {
    this.#child.unref();
    this.#child.channel?.unref();
  }

  #heard(message: unknown): void {
    const step = stepSchema.safeParse(message);
    if (step.success) this.#steps.push(step.data);
    this.#wake();
  }

  #ended(reason: string): void {
    this.#end ??= reason;
    this.#wake();
  }

  async #waitFor(step: Step): Promise<void> {
    const until = performance.now() + this.#timeoutMs;
    while (!this.#steps.includes(step)) {
      const restMs = until - performance.now();
      if (this.#end !== undefined) throw notReady(this.#end);
      if (restMs <= 0) throw notReady(`it was not ${step} in ${this.#timeoutMs} ms`);
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wake = resolve;
      const timer = setTimeout(resolve, restMs);
      await promise;
      clearTimeout(timer);
    }
  }
}

function notReady(reason: string): PlatformError {
  return new PlatformError(
    'UPSTREAM_UNAVAILABLE',
    `Cannot upgrade: the next agent is not there (${reason}); this one goes on, see the next one's log`,
  );
}
