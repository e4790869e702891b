import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { z } from 'zod';

/** As the systemd unit starts it. */
const asInstalled = ['--max-semi-space-size=2', '--max-old-space-size=64'];
const root = join(import.meta.dirname, '../..');

export interface Process extends Disposable {
  readonly child: ChildProcess;
}

function started(command: readonly string[], environment: Record<string, string> = {}): Process {
  const [program = '', ...args] = command;
  const child = spawn(program, args, {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { PATH: '/usr/bin:/bin', ...environment },
  });
  return { child, [Symbol.dispose]: () => void child.kill('SIGKILL') };
}

/** The cell that only acks, as a process of its own. */
export async function startAckingServer(): Promise<Process & { readonly port: number }> {
  const server = started([process.execPath, join(import.meta.dirname, 'acking-server.ts')]);
  const said: unknown[] = await once(server.child.stdout ?? process.stdin, 'data');
  return { ...server, port: Number(String(said[0]).trim()) };
}

const addressesSchema = z.object({ admin: z.string() });

export interface RunningAgent extends Process {
  readonly admin: string;
  /** From its start to its readiness. */
  readonly readySeconds: number;
}

/** An agent on `directory/data`, as it is installed. Resolves when it is ready. */
export async function startAgentProcess(directory: string, port: number): Promise<RunningAgent> {
  const config = {
    building: 'de-benchmark',
    dataDirectory: 'data',
    store: { bytesMax: 8 * 1024 ** 3 },
    uplink: { url: `mqtt://127.0.0.1:${port}`, backfillPerSecond: 1_000_000, inFlightMax: 200 },
  };
  const path = join(directory, 'gateway.yaml');
  const addresses = join(directory, 'data/addresses.json');
  await writeFile(path, JSON.stringify(config));
  await rm(addresses, { force: true });
  const from = performance.now();
  const entry = join(root, 'gateway-agent/src/main.ts');
  const agent = started([process.execPath, ...asInstalled, entry], {
    GATEWAY_CONFIG: path,
    NODE_COMPILE_CACHE: join(tmpdir(), 'gateway-benchmark-cache'),
    MALLOC_ARENA_MAX: '1',
  });
  agent.child.stdout?.resume();
  for (;;) {
    const text = await readFile(addresses, 'utf8').catch(() => '');
    if (text !== '') {
      const { admin } = addressesSchema.parse(JSON.parse(text));
      return { ...agent, admin, readySeconds: (performance.now() - from) / 1000 };
    }
    if (agent.child.exitCode !== null) throw new Error('The agent ended');
    await wait(5);
  }
}

/** From the agent's metrics. */
export async function backlogSent(admin: string): Promise<number> {
  const text = await (await fetch(`${admin}/metrics`)).text();
  return Number(
    /^gateway_uplink_readings_total\{[^}]*lane="backlog"[^}]*\} (\d+)/m.exec(text)?.[1] ?? 0,
  );
}

/** Stops it as a supervisor does: what it compiled is then kept for the next start. */
export async function stopAgent({ child }: Process): Promise<void> {
  const exited = once(child, 'exit');
  child.kill('SIGTERM');
  await exited;
}

/** Now, and the most that it ever was; bytes (proc(5)). */
export async function memoryOf({ child }: Process): Promise<{ now: number; peak: number }> {
  const status = await readFile(`/proc/${child.pid}/status`, 'utf8');
  const of = (name: string) =>
    1024 * Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(status)?.[1]);
  return { now: of('VmRSS'), peak: of('VmHWM') };
}
