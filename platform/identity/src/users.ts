import { readFile, stat } from 'node:fs/promises';
import { PlatformError } from '@domicile/core/errors.ts';
import { parseCountryCode } from '@domicile/core/identities.ts';
import { everyClient, scopes } from '@domicile/runtime/claims.ts';
import { parsedBy } from '@domicile/runtime/environment.ts';
import { fileVersion } from '@domicile/runtime/file-version.ts';
import { z } from 'zod';
import { passwordHashPattern } from './password.ts';

const bytesMax = 2 ** 20;
const id = z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}$/);

const user = z.strictObject({
  user: z.string().regex(/^[a-z0-9][a-z0-9._@-]{0,62}$/),
  passwordHash: z.string().regex(passwordHashPattern),
  /** A client's id, or `*` for internal teams. */
  client: z.union([z.literal(everyClient), id]),
  scopes: z.array(z.enum(scopes)),
  /** The cells that this user may ask. */
  countries: z.array(parsedBy(parseCountryCode)).min(1),
  /** Narrows to these. */
  buildings: z.array(id).optional(),
});

const usersFile = z.strictObject({ users: z.array(user).max(10_000) });

export type User = z.output<typeof user>;
export type UsersFile = z.input<typeof usersFile>;
export type FindUser = (name: string) => Promise<User | undefined>;

/** Follows the file: a user who is taken out can neither log in nor renew a token. Throws `CONFIG_INVALID`. */
export function usersIn(file: string): FindUser {
  let known: { readonly of: string; readonly users: Map<string, User> } | undefined;
  return async (name) => {
    const stats = await stat(file);
    if (stats.size > bytesMax)
      throw new PlatformError('CONFIG_INVALID', 'Cannot read users: too large');
    const of = fileVersion(stats);
    if (known?.of !== of) known = { of, users: parseUsers(await readFile(file)) };
    return known.users.get(name);
  };
}

function parseUsers(content: Buffer): Map<string, User> {
  const read = usersFile.safeParse(jsonOf(content.toString()));
  if (read.success) return new Map(read.data.users.map((one) => [one.user, one]));
  const faults = read.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`);
  throw new PlatformError('CONFIG_INVALID', `Cannot read users: ${faults.join('; ')}`);
}

function jsonOf(content: string): unknown {
  try {
    return JSON.parse(content);
  } catch {
    throw new PlatformError('CONFIG_INVALID', 'Cannot read users: the file is not JSON');
  }
}
