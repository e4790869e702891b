import { resolve } from 'node:path';
import { PlatformError } from '@domicile/core/errors.ts';
import { type DuckDBConnection, DuckDBInstance } from '@duckdb/node-api';

export interface EngineOptions {
  /** Folders that queries may read; each is given with what lies below. */
  readonly readable: readonly string[];
  readonly memoryMegabytesMax: number;
  readonly threads: number;
  /** Queries that run at once; the others wait. */
  readonly queriesMax: number;
  /** Queries that may wait; beyond it they are refused. */
  readonly waitingMax: number;
  readonly queryTimeoutMs: number;
}

export interface Query {
  readonly connection: DuckDBConnection;
  /** Aborts at the deadline and when the asker has gone. */
  readonly signal: AbortSignal;
}

/**
 * DuckDB within bounds: memory, threads, queries at once, time. Its own ways out (extensions, the network, files elsewhere,
 * its settings) are closed before the first query, and only statements of this room are run: nothing of a request becomes
 * SQL, it is bound.
 */
export class Engine {
  readonly #instance: DuckDBInstance;
  readonly #options: EngineOptions;
  readonly #waiting: (() => void)[] = [];
  #running = 0;

  static async start(options: EngineOptions): Promise<Engine> {
    const instance = await DuckDBInstance.create(':memory:', {
      threads: `${options.threads}`,
      memory_limit: `${options.memoryMegabytesMax}MB`,
      autoinstall_known_extensions: 'false',
      autoload_known_extensions: 'false',
      allow_community_extensions: 'false',
      allow_unsigned_extensions: 'false',
    });
    const connection = await instance.connect();
    const folders = options.readable.map((folder) => textLiteral(`${resolve(folder)}/`));
    // In this order: what is closed last can no longer be opened.
    for (const setting of [
      "set temp_directory = ''",
      "set TimeZone = 'UTC'",
      `set allowed_directories = [${folders.join(', ')}]`,
      'set enable_external_access = false',
      'set lock_configuration = true',
    ])
      await connection.run(setting);
    connection.closeSync();
    return new Engine(instance, options);
  }

  private constructor(instance: DuckDBInstance, options: EngineOptions) {
    this.#instance = instance;
    this.#options = options;
  }

  get running(): number {
    return this.#running;
  }

  /** Runs `work` on a connection of its own. Throws `UPSTREAM_UNAVAILABLE` at the deadline or when too many wait. */
  async run<Result>(gone: AbortSignal, work: (query: Query) => Promise<Result>): Promise<Result> {
    const signal = AbortSignal.any([gone, AbortSignal.timeout(this.#options.queryTimeoutMs)]);
    await this.#enter(signal);
    try {
      if (signal.aborted) throw tooLong();
      const connection = await this.#instance.connect();
      const interrupt = () => connection.interrupt();
      signal.addEventListener('abort', interrupt);
      try {
        return await work({ connection, signal });
      } catch (error) {
        throw mapped(error, signal);
      } finally {
        signal.removeEventListener('abort', interrupt);
        connection.closeSync();
      }
    } finally {
      this.#leave();
    }
  }

  [Symbol.dispose](): void {
    this.#instance.closeSync();
  }

  async #enter(signal: AbortSignal): Promise<void> {
    if (this.#running < this.#options.queriesMax) {
      this.#running += 1;
      return;
    }
    if (this.#waiting.length >= this.#options.waitingMax)
      throw new PlatformError('UPSTREAM_UNAVAILABLE', 'Cannot query now: too many queries wait');
    const { promise, resolve: enter, reject } = Promise.withResolvers<void>();
    const giveUp = () => {
      const at = this.#waiting.indexOf(enter);
      if (at >= 0) this.#waiting.splice(at, 1);
      reject(tooLong());
    };
    signal.addEventListener('abort', giveUp);
    this.#waiting.push(enter);
    try {
      await promise; // the place of whoever left is handed over
    } finally {
      signal.removeEventListener('abort', giveUp);
    }
  }

  #leave(): void {
    const next = this.#waiting.shift();
    if (next) next();
    else this.#running -= 1;
  }
}

function mapped(error: unknown, signal: AbortSignal): unknown {
  if (error instanceof PlatformError || !(error instanceof Error)) return error;
  if (signal.aborted || error.message.startsWith('INTERRUPT')) return tooLong(error);
  if (error.message.startsWith('Out of Memory'))
    return new PlatformError(
      'UPSTREAM_UNAVAILABLE',
      'Cannot answer: the query needs more memory than one may take; ask for less',
      { cause: error },
    );
  if (error.message.startsWith('IO Error'))
    return new PlatformError(
      'UPSTREAM_UNAVAILABLE',
      'Cannot answer: a landed file cannot be read; the account of the building tells what is landed',
      { cause: error },
    );
  return error;
}

function tooLong(cause?: unknown): PlatformError {
  return new PlatformError(
    'UPSTREAM_UNAVAILABLE',
    'Cannot answer in time: ask for a shorter range or fewer buildings',
    cause === undefined ? {} : { cause },
  );
}

/** For what is no parameter of a statement: names of files that we made. */
export function textLiteral(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}
