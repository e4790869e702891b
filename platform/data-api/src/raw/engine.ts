import { resolve } from 'node:path';
import { PlatformError } from '@domicile/core/errors.ts';
import { type DuckDBConnection, DuckDBInstance } from '@duckdb/node-api';
import { type Gate, tooLong } from './gate.ts';

export interface EngineOptions {
  /** Folders that queries may read; each is given with what lies below. */
  readonly readable: readonly string[];
  readonly memoryMegabytesMax: number;
  readonly threads: number;
  readonly gate: Gate;
}

const interruptEveryMs = 200;

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
  readonly #gate: Gate;

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
    return new Engine(instance, options.gate);
  }

  private constructor(instance: DuckDBInstance, gate: Gate) {
    this.#instance = instance;
    this.#gate = gate;
  }

  /** Runs `work` on a connection of its own. Throws `UPSTREAM_UNAVAILABLE` at the deadline or when too many wait. */
  run<Result>(gone: AbortSignal, work: (query: Query) => Promise<Result>): Promise<Result> {
    return this.#gate.run(gone, async (signal) => {
      const connection = await this.#instance.connect();
      let again: NodeJS.Timeout | undefined;
      const interrupt = () => {
        connection.interrupt();
        // It does not reach a statement that waits for a thread, so it is said until the work has ended.
        again ??= setInterval(() => connection.interrupt(), interruptEveryMs);
      };
      signal.addEventListener('abort', interrupt);
      try {
        // What aborts while a connection is made is told to nobody.
        if (signal.aborted) throw tooLong();
        return await work({ connection, signal });
      } catch (error) {
        throw mapped(error, signal);
      } finally {
        signal.removeEventListener('abort', interrupt);
        clearInterval(again);
        connection.closeSync();
      }
    });
  }

  [Symbol.dispose](): void {
    this.#instance.closeSync();
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

/** For what is no parameter of a statement: names of files that we made. */
export function textLiteral(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}
