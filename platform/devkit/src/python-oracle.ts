import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { PlatformError } from '@domicile/core/errors.ts';
import { defaultCacheDir } from './cache-dir.ts';

const run = promisify(execFile);

/** Readers of Parquet that share nothing with ours. `pytz`: DuckDB needs it to give times with a zone. */
const requirements = ['duckdb==2.0.0', 'pyarrow==26.0.1', 'pytz==2026.6'];
const answerBytesMax = 64 << 20;

/** The Python of a virtual environment with these readers, made once. Throws `UPSTREAM_UNAVAILABLE` with what to do. */
async function oraclePython(): Promise<string> {
  const name = `oracle-${requirements.join('-').replaceAll('==', '-')}`;
  const dir = join(defaultCacheDir, name);
  if (!existsSync(dir)) {
    const passing = `${dir}.${process.pid}`;
    await mkdir(defaultCacheDir, { recursive: true });
    try {
      await run('python3', ['-m', 'venv', passing]);
      const pip = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check'];
      await run(join(passing, 'bin/python'), [...pip, ...requirements]);
    } catch (cause) {
      await rm(passing, { recursive: true, force: true });
      throw new PlatformError(
        'UPSTREAM_UNAVAILABLE',
        `Cannot make the Python readers: python3 with venv and ${requirements.join(', ')} are needed`,
        { cause },
      );
    }
    await rename(passing, dir).catch(() => rm(passing, { recursive: true, force: true }));
  }
  return join(dir, 'bin/python');
}

/** Runs a program that prints JSON, with `parameters` as its arguments. */
export async function askPython(program: string, ...parameters: string[]): Promise<unknown> {
  const python = await oraclePython();
  const options = { maxBuffer: answerBytesMax };
  const { stdout } = await run(python, ['-c', program, ...parameters], options);
  return JSON.parse(stdout);
}
