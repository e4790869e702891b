import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const root = join(import.meta.dirname, '../../..');

/** In the folder of a cluster once all of it is up. */
export const readyFile = 'ready';

export interface KubePlaces {
  /** All of it; removed when the cluster is started anew. */
  readonly dir: string;
  readonly pidFile: string;
  readonly logFile: string;
}

/** Of one country; beside `dir`, so that they outlive it. */
export function placesOf(country: string): KubePlaces {
  const dir = join(root, '.domicile/kube', country.toLowerCase());
  return { dir, pidFile: `${dir}.pid`, logFile: `${dir}.log` };
}

/** The process that holds the cluster; undefined if there is none, whatever the file says. */
export function holderOf({ pidFile }: KubePlaces): number | undefined {
  const pid = existsSync(pidFile) ? Number(readFileSync(pidFile, 'utf8')) : 0;
  return pid > 0 && isHolder(pid) ? pid : undefined;
}

/** Not another process that has its number by now. */
function isHolder(pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('kube-supervisor');
  } catch {
    return false;
  }
}

/** As far as nobody else has it, the pods of a country have the same addresses each time. */
export function networkOf(country: string): number {
  const name = country.toUpperCase();
  return 16 + ((name.charCodeAt(0) * 26 + name.charCodeAt(1)) % 220);
}
