import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { FleetOrder } from './device-fleet.ts';

/** The devices' process, seen from the test. */
export class Fleet {
  readonly order: FleetOrder;
  readonly #child: ChildProcess;

  constructor(order: FleetOrder) {
    this.order = order;
    this.#child = spawn(
      process.execPath,
      [join(import.meta.dirname, 'device-fleet.ts'), JSON.stringify(order)],
      { stdio: ['ignore', 'inherit', 'inherit'] },
    );
  }

  /** What devices were told is kept: `device seq` lines. */
  acked(): string[] {
    if (!existsSync(this.order.ledgerFile)) return [];
    const lines = readFileSync(this.order.ledgerFile, 'utf8').split('\n');
    return lines.filter((line) => line !== '');
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exited = once(this.#child, 'exit');
    this.#child.kill('SIGTERM');
    await exited;
  }
}
