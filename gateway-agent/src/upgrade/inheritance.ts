import { PlatformError } from '@domicile/core/errors.ts';
import { type Environment, readEnvironment } from '@domicile/runtime/environment.ts';
import { z } from 'zod';

/** What a process was started with. */
export interface Inheritance {
  /** Sockets that listen already, by the name of the driver that they are for. */
  readonly sockets: ReadonlyMap<string, number>;
  /** An agent started this one, to go on in its place. */
  readonly isSuccessor: boolean;
}

/** The first descriptor that is handed down (sd_listen_fds(3)). */
const firstFd = 3;

const settings = z.object({
  GATEWAY_SUCCESSOR: z.enum(['0', '1']).default('0'),
  LISTEN_FDS: z.coerce.number().int().min(0).max(100).default(0),
  LISTEN_FDNAMES: z.string().default(''),
  LISTEN_PID: z.coerce.number().int().optional(),
});

/**
 * Reads what systemd's socket activation or the agent before says: `LISTEN_FDS` sockets from descriptor 3 on, named in
 * `LISTEN_FDNAMES` by driver (`FileDescriptorName=mqtt`). Throws `CONFIG_INVALID` if a name is missing.
 */
export function readInheritance(env: Environment, pid: number): Inheritance {
  const read = readEnvironment(settings, env);
  const isOurs = read.LISTEN_PID === undefined || read.LISTEN_PID === pid;
  const count = isOurs ? read.LISTEN_FDS : 0;
  const names = read.LISTEN_FDNAMES.split(':');
  const sockets = Array.from({ length: count }, (_, place): [string, number] => {
    const name = names[place];
    if (name === undefined || name === '')
      throw new PlatformError(
        'CONFIG_INVALID',
        `Cannot use socket ${place + firstFd}: LISTEN_FDNAMES must name the driver of each (FileDescriptorName=)`,
      );
    return [name, firstFd + place];
  });
  return { sockets: new Map(sockets), isSuccessor: read.GATEWAY_SUCCESSOR === '1' };
}

/** What is added to the environment of the next agent. */
export function inheritanceSettings(names: readonly string[]): Record<string, string | undefined> {
  return {
    GATEWAY_SUCCESSOR: '1',
    LISTEN_FDS: `${names.length}`,
    LISTEN_FDNAMES: names.join(':'),
    LISTEN_PID: undefined,
  };
}
