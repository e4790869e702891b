import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { addressesFile } from './addresses.ts';
import { configText } from './test-agent.ts';

const addressesSchema = z.object({
  admin: z.string(),
  http: z.number().optional(),
  mqtt: z.number().optional(),
});

export type Addresses = z.output<typeof addressesSchema>;

/** An agent as a process of its own, to be killed and started again on the same data. */
export class AgentProcess implements AsyncDisposable {
  readonly #directory: string;
  #child: ChildProcess | undefined;
  /** Absent while it does not run. */
  addresses: Addresses | undefined;

  constructor(directory: string) {
    this.#directory = directory;
  }

  async configure(url: string, parts: Parameters<typeof configText>[1]): Promise<void> {
    await writeFile(join(this.#directory, 'gateway.yaml'), configText(url, parts));
  }

  /** Absent while it does not run. */
  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /** Resolves when devices can reach it. */
  async start(environment: Readonly<Record<string, string>> = {}): Promise<void> {
    const addresses = join(this.#directory, 'data', addressesFile);
    await rm(addresses, { force: true });
    const child = spawn(process.execPath, [join(import.meta.dirname, 'main.ts')], {
      env: {
        GATEWAY_CONFIG: join(this.#directory, 'gateway.yaml'),
        GATEWAY_ALLOW_DROP: '1',
        ...environment,
      },
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    this.#child = child;
    while (this.#child === child && child.exitCode === null && child.signalCode === null) {
      const text = await readFile(addresses, 'utf8').catch(() => '');
      if (text !== '') {
        this.addresses = addressesSchema.parse(JSON.parse(text));
        return;
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    throw new Error('Cannot start: the agent ended');
  }

  /** SIGKILL by default: nothing is finished. */
  async stop(signal: 'SIGKILL' | 'SIGTERM' = 'SIGKILL'): Promise<void> {
    const child = this.#child;
    this.addresses = undefined;
    this.#child = undefined;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, 'exit');
    child.kill(signal);
    await exited;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}
