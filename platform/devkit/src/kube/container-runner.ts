import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdirSync, openSync } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Command } from './pod-command.ts';
import type { ContainerSpec, Pod } from './pod-spec.ts';
import { probeUntil } from './probe.ts';

export interface ContainerOptions {
  readonly spec: ContainerSpec;
  readonly restartPolicy: Pod['spec']['restartPolicy'];
  readonly podIp: string;
  readonly logFile: string;
  /** What to run; throws while something that it needs is missing. */
  readonly command: () => Promise<Command>;
  readonly changed: () => void;
}

interface Terminated {
  readonly exitCode: number;
  readonly signal?: number;
  readonly reason: string;
  readonly startedAt: string;
  readonly finishedAt: string;
}

type State =
  | { readonly waiting: { readonly reason: string; readonly message?: string } }
  | { readonly running: { readonly startedAt: string } }
  | { readonly terminated: Terminated };

/** A real kubelet begins with 10 s and goes up to 5 minutes. */
const backOffMs = { first: 500, max: 20_000 };
/** Who ran for so long begins anew. */
const healthyMs = 60_000;
const missingRetryMs = 500;

/** One container as a process: started, probed, started again, ended. */
export class ContainerRunner {
  readonly spec: ContainerSpec;
  readonly #options: ContainerOptions;
  readonly #stopping = new AbortController();
  #state: State = { waiting: { reason: 'ContainerCreating' } };
  #last: Terminated | undefined;
  #child: ChildProcess | undefined;
  #restarts = 0;
  #isStarted = false;
  #isReady = false;

  constructor(options: ContainerOptions) {
    this.#options = options;
    this.spec = options.spec;
  }

  get isReady(): boolean {
    return this.#isReady;
  }

  get pid(): number | undefined {
    return 'running' in this.#state ? this.#child?.pid : undefined;
  }

  /** Of one that has ended and is not started again. */
  get exitCode(): number | undefined {
    return 'terminated' in this.#state ? this.#state.terminated.exitCode : undefined;
  }

  /** Resolves when it has ended for good. */
  async run(): Promise<void> {
    let delayMs = backOffMs.first;
    for (;;) {
      const startedMs = Date.now();
      const ended = await this.#runOnce();
      if (ended === undefined) return;
      const { restartPolicy } = this.#options;
      const isOver =
        restartPolicy === 'Never' || (restartPolicy === 'OnFailure' && ended.exitCode === 0);
      this.#set({ terminated: ended });
      if (isOver || this.#stopping.signal.aborted) return;
      if (Date.now() - startedMs > healthyMs) delayMs = backOffMs.first;
      this.#last = ended;
      const message = `back-off ${delayMs} ms restarting failed container ${this.spec.name}`;
      this.#set({ waiting: { reason: 'CrashLoopBackOff', message } });
      await this.#pause(delayMs);
      if (this.#stopping.signal.aborted) return this.#set({ terminated: ended });
      delayMs = Math.min(2 * delayMs, backOffMs.max);
      this.#restarts += 1;
    }
  }

  /** SIGTERM after what is to come before it, and SIGKILL at the end of the grace. Who asks again cuts the grace short. */
  async stop(graceMs: number): Promise<void> {
    const deadline = Date.now() + graceMs;
    if (!this.#stopping.signal.aborted && this.pid !== undefined && graceMs > 0)
      await this.#beforeStop(graceMs);
    const wasStopping = this.#stopping.signal.aborted;
    this.#stopping.abort();
    // Not before: it may have ended meanwhile, and another one have begun.
    const child = this.#child;
    const hasEnded = child === undefined || child.exitCode !== null || child.signalCode !== null;
    if (hasEnded || this.pid === undefined) return;
    const exited = once(child, 'exit');
    if (graceMs === 0) child.kill('SIGKILL');
    else if (!wasStopping) child.kill('SIGTERM');
    const timer = setTimeout(() => killGroup(child), Math.max(0, deadline - Date.now()));
    await exited;
    clearTimeout(timer);
  }

  kill(signal: NodeJS.Signals): void {
    this.#child?.kill(signal);
  }

  status(): object {
    const { name, image } = this.spec;
    return {
      name,
      image,
      imageID: image,
      containerID: this.#child?.pid === undefined ? '' : `process://${this.#child.pid}`,
      ready: this.#isReady,
      started: this.#isStarted,
      restartCount: this.#restarts,
      state: this.#state,
      lastState: this.#last === undefined ? {} : { terminated: this.#last },
    };
  }

  /** Undefined if it was stopped before it began. */
  async #runOnce(): Promise<Terminated | undefined> {
    const command = await this.#prepared();
    if (command === undefined || this.#stopping.signal.aborted) return undefined;
    const child = spawnContainer(command, this.#options.logFile);
    const startedAt = new Date().toISOString();
    this.#child = child;
    const exited = new Promise<[number | null, NodeJS.Signals | null]>((resolve) => {
      child.once('exit', (code, signal) => resolve([code, signal]));
      child.once('error', () => resolve([127, null]));
    });
    this.#set({ running: { startedAt } });
    const probing = new AbortController();
    const probes = this.#probe(command, AbortSignal.any([probing.signal, this.#stopping.signal]));
    const [code, signal] = await exited;
    probing.abort();
    await probes;
    this.#isReady = false;
    this.#isStarted = false;
    const exitCode = code ?? 128 + (signal === 'SIGKILL' ? 9 : 15);
    const reason = exitCode === 0 ? 'Completed' : 'Error';
    return { exitCode, reason, startedAt, finishedAt: new Date().toISOString() };
  }

  async #prepared(): Promise<Command | undefined> {
    while (!this.#stopping.signal.aborted) {
      try {
        return await this.#options.command();
      } catch (error) {
        const message = error instanceof Error ? error.message : String(error);
        this.#set({ waiting: { reason: 'CreateContainerConfigError', message } });
        await this.#pause(missingRetryMs);
      }
    }
    return undefined;
  }

  async #probe(command: Command, signal: AbortSignal): Promise<void> {
    const { startupProbe, readinessProbe, livenessProbe } = this.spec;
    const target = { podIp: this.#options.podIp, container: this.spec, command };
    if (startupProbe !== undefined) {
      const starting = new AbortController();
      await probeUntil(startupProbe, target, {
        signal: AbortSignal.any([signal, starting.signal]),
        verdict: (ok) => {
          starting.abort();
          if (!ok) this.#unhealthy();
          this.#isStarted = ok;
        },
      });
      if (!this.#isStarted) return;
    }
    this.#isStarted = true;
    this.#isReady = readinessProbe === undefined;
    this.#options.changed();
    const verdict = (ok: boolean): void => {
      if (ok === this.#isReady) return;
      this.#isReady = ok;
      this.#options.changed();
    };
    await Promise.all([
      readinessProbe && probeUntil(readinessProbe, target, { signal, verdict }),
      livenessProbe &&
        probeUntil(livenessProbe, target, { signal, verdict: (ok) => ok || this.#unhealthy() }),
    ]);
  }

  /** It is given what the pod's grace would give it at most in a test. */
  #unhealthy(): void {
    const child = this.#child;
    if (child === undefined) return;
    child.kill('SIGTERM');
    setTimeout(() => killGroup(child), unhealthyGraceMs).unref();
  }

  async #beforeStop(graceMs: number): Promise<void> {
    const { preStop } = this.spec.lifecycle;
    if (preStop?.sleep !== undefined) await sleep(Math.min(preStop.sleep.seconds * 1000, graceMs));
  }

  #set(state: State): void {
    this.#state = state;
    this.#options.changed();
  }

  async #pause(ms: number): Promise<void> {
    await sleep(ms, undefined, { signal: this.#stopping.signal }).catch(() => undefined);
  }
}

const unhealthyGraceMs = 10_000;

/** It ends with this process, whatever becomes of that, and is of a group of its own. */
function spawnContainer({ command, env, cwd }: Command, logFile: string): ChildProcess {
  mkdirSync(dirname(logFile), { recursive: true });
  const log = openSync(logFile, 'a');
  const parameters = ['--pdeathsig', 'KILL', ...command];
  const child = spawn('setpriv', parameters, {
    cwd,
    env,
    detached: true,
    stdio: ['ignore', log, log],
  });
  closeSync(log);
  return child;
}

/** With what it started itself. */
function killGroup(child: ChildProcess): void {
  try {
    if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
  } catch {
    // It is gone already.
  }
}
