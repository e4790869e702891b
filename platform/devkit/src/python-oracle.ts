import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { pythonWith } from './python.ts';

const run = promisify(execFile);

/** Readers of Parquet that share nothing with ours. `pytz`: DuckDB needs it to give times with a zone. */
const requirements = ['duckdb==2.0.0', 'pyarrow==26.0.1', 'pytz==2026.6'];
const answerBytesMax = 64 << 20;

/** Runs a program that prints JSON, with `parameters` as its arguments. */
export async function askPython(program: string, ...parameters: string[]): Promise<unknown> {
  const python = await pythonWith(requirements);
  const options = { maxBuffer: answerBytesMax };
  const { stdout } = await run(python, ['-c', program, ...parameters], options);
  return JSON.parse(stdout);
}
