/** For tests: services of this room as processes that can be killed. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { Principal } from '@domicile/core/streams.ts';
import type { ClientOptions } from '@domicile/kafka/client-options.ts';

interface Cell {
  readonly country: string;
  client(principal: Principal): ClientOptions;
}

export class ServiceProcesses {
  readonly #cell: Cell;
  readonly #passwordFile: string;
  readonly #running = new Set<ChildProcess>();

  /** `passwordFile` holds the password of the principal that it is started as. */
  constructor(cell: Cell, passwordFile: string) {
    this.#cell = cell;
    this.#passwordFile = passwordFile;
  }

  /** `main`: a file of `src`. */
  async start(
    main: string,
    principal: Principal,
    env: Readonly<Record<string, string>>,
  ): Promise<ChildProcess> {
    const { bootstrapBrokers } = this.#cell.client(principal);
    const child = spawn(process.execPath, [fileURLToPath(new URL(`../${main}`, import.meta.url))], {
      stdio: ['ignore', 'ignore', 'inherit'],
      env: {
        KAFKA_BOOTSTRAP: [bootstrapBrokers].flat().map(String).join(','),
        KAFKA_USER: principal,
        KAFKA_PASSWORD_FILE: this.#passwordFile,
        CELL_COUNTRY: this.#cell.country,
        ADMIN_PORT: '0',
        ...env,
      },
    });
    this.#running.add(child);
    await once(child, 'spawn');
    return child;
  }

  /** Resolves when it has ended. */
  async end(child: ChildProcess, signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    if (child.exitCode === null && child.signalCode === null) {
      const ended = once(child, 'exit');
      child.kill(signal);
      await ended;
    }
    this.#running.delete(child);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const child of this.#running) await this.end(child, 'SIGKILL');
  }
}
