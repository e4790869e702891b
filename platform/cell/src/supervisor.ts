import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream, type WriteStream } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { PlatformError } from '@domicile/core/errors.ts';
import { must } from '@domicile/core/invariants.ts';
import { baseEnvironment } from './config.ts';
import { Life, type Liveness, livenessDefault, untilSilent } from './liveness.ts';

/** A process of a cell: a room's entry with its settings. */
export interface ProcessSpec {
  /** Unique among the processes of one supervisor, as `de-broker`. */
  readonly name: string;
  /** Relative to the repository's root. */
  readonly entry: string;
  readonly env: Readonly<Record<string, string>>;
  readonly nodeFlags?: readonly string[];
  readonly logFile: string;
  /** Its admin port on loopback. */
  readonly adminPort: number;
}

export type ProcessSignal = 'SIGKILL' | 'SIGTERM' | 'SIGSTOP' | 'SIGCONT';

export interface SupervisorEvents {
  /** It ended by itself, or was ended since it gave no sign of life, and is started again. */
  restarted(name: string, outcome: string): void;
}

const root = join(import.meta.dirname, '../../..');
const restartDelayMs = { first: 200, max: 5_000 };
/** A process that ran for so long is taken for healthy: the delay begins anew. */
const healthyMs = 30_000;
const pollMs = 50;

/**
 * Starts processes, starts again what ends by itself or hangs, and stops them one after the other in the order given. What it
 * starts inherits nothing of the environment but what is named here.
 */
export class Supervisor {
  readonly #children = new Map<string, Supervised>();
  readonly #events: SupervisorEvents;
  readonly #liveness: Liveness;

  constructor(events: SupervisorEvents, liveness = livenessDefault) {
    this.#events = events;
    this.#liveness = liveness;
  }

  async start(spec: ProcessSpec): Promise<void> {
    await mkdir(dirname(spec.logFile), { recursive: true });
    const supervised = new Supervised(spec, this.#events, this.#liveness);
    this.#children.set(spec.name, supervised);
    supervised.spawn();
  }

  get names(): readonly string[] {
    return [...this.#children.keys()];
  }

  spec(name: string): ProcessSpec {
    return this.#child(name).spec;
  }

  pid(name: string): number {
    return must(this.#child(name).pid, `${name} runs`);
  }

  /** How often it was started. */
  starts(name: string): number {
    return this.#child(name).starts;
  }

  /** Ends it at once, as a crash would, and it is started again; or stops it and lets it go on. */
  kill(name: string, signal: ProcessSignal = 'SIGKILL'): void {
    this.#child(name).signal(signal);
  }

  /** Resolves when it says that it is ready; throws with the tail of its log when it does not within the time. */
  async ready(name: string, timeoutMs: number): Promise<void> {
    const supervised = this.#child(name);
    const { spec } = supervised;
    let reason = 'no answer';
    for (const deadline = Date.now() + timeoutMs; Date.now() < deadline; await sleep(pollMs)) {
      const { life } = supervised;
      const answer = await readiness(spec.adminPort);
      if (answer === true) {
        life?.answered();
        return;
      }
      reason = answer;
    }
    throw new PlatformError(
      'UPSTREAM_UNAVAILABLE',
      `Cannot start ${name}: it is not ready after ${timeoutMs} ms (${reason}); see ${spec.logFile}`,
    );
  }

  /** Ends one in good order and forgets it. */
  async stop(name: string, timeoutMs: number): Promise<void> {
    await this.#children.get(name)?.stop(timeoutMs);
    this.#children.delete(name);
  }

  #child(name: string): Supervised {
    return must(this.#children.get(name), `${name} was started`);
  }
}

class Supervised {
  readonly spec: ProcessSpec;
  readonly #events: SupervisorEvents;
  readonly #liveness: Liveness;
  readonly #log: WriteStream;
  #child: ChildProcess | undefined;
  #delayMs = restartDelayMs.first;
  #startedAt = 0;
  #stopping = false;
  starts = 0;
  /** Of the process that was started last. */
  life: Life | undefined;

  constructor(spec: ProcessSpec, events: SupervisorEvents, liveness: Liveness) {
    this.spec = spec;
    this.#events = events;
    this.#liveness = liveness;
    this.#log = createWriteStream(spec.logFile, { flags: 'a' });
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  spawn(): void {
    const { entry, env, nodeFlags = [] } = this.spec;
    this.starts += 1;
    this.#startedAt = Date.now();
    // It ends with this process, whatever becomes of that, and is of a group of its own: what a terminal sends to the
    // group is not meant for it.
    const command = [process.execPath, ...nodeFlags, join(root, entry)];
    const child = spawn('setpriv', ['--pdeathsig', 'TERM', ...command], {
      cwd: root,
      detached: true,
      env: { ...baseEnvironment(), ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#child = child;
    child.stdout.pipe(this.#log, { end: false });
    child.stderr.pipe(this.#log, { end: false });
    const ended = new AbortController();
    this.life = new Life(ended.signal);
    const hung = this.#endWhenSilent(child, this.life);
    child.once('exit', (code, signal) => {
      ended.abort();
      void hung.then((why) => this.#ended(child, why ?? signal ?? `code ${code}`));
    });
  }

  async #endWhenSilent(child: ChildProcess, life: Life): Promise<string | undefined> {
    const why = await untilSilent(this.spec.adminPort, life, this.#liveness);
    if (why !== undefined) child.kill('SIGKILL');
    return why;
  }

  signal(name: ProcessSignal): void {
    this.#child?.kill(name);
  }

  async stop(timeoutMs: number): Promise<void> {
    this.#stopping = true;
    const child = this.#child;
    if (child !== undefined && child.exitCode === null && child.signalCode === null) {
      const exited = once(child, 'exit');
      const timer = setTimeout(() => child.kill('SIGKILL'), timeoutMs);
      child.kill('SIGTERM');
      await exited;
      clearTimeout(timer);
    }
    this.#log.end();
  }

  async #ended(child: ChildProcess, outcome: string): Promise<void> {
    if (this.#stopping || child !== this.#child) return;
    this.#events.restarted(this.spec.name, outcome);
    const wasHealthy = Date.now() - this.#startedAt > healthyMs;
    this.#delayMs = wasHealthy ? restartDelayMs.first : this.#delayMs;
    await sleep(this.#delayMs);
    this.#delayMs = Math.min(this.#delayMs * 2, restartDelayMs.max);
    if (!this.#stopping) this.spawn();
  }
}

/** True, or why not. */
async function readiness(adminPort: number): Promise<true | string> {
  try {
    const response = await fetch(`http://127.0.0.1:${adminPort}/readyz`, {
      signal: AbortSignal.timeout(1_000),
    });
    return response.ok ? true : (await response.text()).slice(0, 500);
  } catch {
    return 'no answer';
  }
}
