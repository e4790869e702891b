import { randomUUID } from 'node:crypto';
import { link, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { PlatformError } from '@domicile/core/errors.ts';
import { isFault } from './fs-faults.ts';

/** How long is waited for whoever has it. */
const waitMsMax = 5_000;
const pollMs = 5;
/** Of a holder on another machine, of whom nobody knows whether it lives. */
const abandonedMs = 3_600_000;

/** Held by this process. */
const held = new Set<string>();

/**
 * Runs `work` while nobody else holds the lock, a file. One whose process was killed is taken over: at once if that was on this
 * machine, else after an hour. Throws `UPSTREAM_UNAVAILABLE` if it is not to be had for some seconds.
 */
export async function withLock<Value>(path: string, work: () => Promise<Value>): Promise<Value> {
  const id = randomUUID();
  for (let waitedMs = 0; !(await isTaken(path, id)); waitedMs += pollMs) {
    if (waitedMs >= waitMsMax)
      throw new PlatformError('UPSTREAM_UNAVAILABLE', 'Cannot remove: another process is at it');
    if (!(await isBroken(path))) await sleep(pollMs);
  }
  try {
    return await work();
  } finally {
    await rm(path, { force: true });
    held.delete(id);
  }
}

/** With its content or not at all. */
async function isTaken(path: string, id: string): Promise<boolean> {
  const temporary = `${path}.${id}`;
  held.add(id);
  let isDone = false;
  try {
    await writeFile(temporary, `${process.pid} ${id} ${hostname()}`);
    await link(temporary, path);
    isDone = true;
  } catch (error) {
    if (!isFault(error, 'EEXIST')) throw error;
  } finally {
    await rm(temporary, { force: true });
    if (!isDone) held.delete(id);
  }
  return isDone;
}

/** Takes away a lock that nobody holds any more. */
async function isBroken(path: string): Promise<boolean> {
  const seen = await readFile(path, 'utf8').catch(() => undefined);
  if (seen === undefined || !(await isAbandoned(path, seen))) return false;
  const aside = `${path}.${randomUUID()}`;
  try {
    await rename(path, aside);
    // Another one may have been quicker, and hold it by now.
    if ((await readFile(aside, 'utf8')) !== seen) await link(aside, path);
  } catch (error) {
    if (!isFault(error, 'ENOENT', 'EEXIST')) throw error;
  } finally {
    await rm(aside, { force: true });
  }
  return true;
}

async function isAbandoned(path: string, content: string): Promise<boolean> {
  const [pid = '', id = '', host] = content.split(' ');
  if (host === hostname()) return pid === `${process.pid}` ? !held.has(id) : !isAlive(Number(pid));
  const found = await stat(path).catch(() => undefined);
  return found !== undefined && Date.now() - found.mtimeMs > abandonedMs;
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return isFault(error, 'EPERM');
  }
}
