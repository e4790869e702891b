import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { CountryCode } from '@domicile/core/countries.ts';
import { must } from '@domicile/core/invariants.ts';
import { type Keys, keysIn, publicKeySet } from '@domicile/identity/keys.ts';
import { passwordHash } from '@domicile/identity/password.ts';
import { mintToken } from '@domicile/identity/tokens.ts';
import type { UsersFile } from '@domicile/identity/users.ts';
import { everyClient, type Scope } from '@domicile/runtime/claims.ts';
import { z } from 'zod';
import { writePrivate } from './secrets.ts';

export const roles = ['client', 'otherClient', 'analyst', 'sre'] as const;
export type Role = (typeof roles)[number];

export interface RoleRights {
  readonly user: string;
  readonly client: string;
  readonly scopes: Scope[];
}

const rightsOf: Readonly<Record<Role, RoleRights>> = {
  client: { user: 'ada@acme.example', client: 'acme', scopes: ['summary:read', 'command:write'] },
  otherClient: {
    user: 'hank@globex.example',
    client: 'globex',
    scopes: ['summary:read', 'command:write'],
  },
  analyst: {
    user: 'iris@domicile.example',
    client: everyClient,
    scopes: ['summary:read', 'raw:read', 'analysis:run'],
  },
  sre: {
    user: 'sam@domicile.example',
    client: everyClient,
    scopes: ['summary:read', 'residency:read'],
  },
};

/** Of the tokens that the demo prints. */
const tokenLifetimeSeconds = 7 * 86_400;
const passwords = z.record(z.string(), z.string());

/** The people of the demo: their log-ins, and ready tokens for scripts. */
export class DemoUsers {
  readonly #issuer: string;
  readonly #keys: Keys;
  readonly #passwords: Readonly<Record<string, string>>;

  /** Makes the users at the first start, and the copy of the public keys that cells believe. */
  static async open(
    dir: string,
    issuer: string,
    countries: readonly CountryCode[],
  ): Promise<DemoUsers> {
    const keys = await keysIn(dir);
    await writePrivate(join(dir, 'jwks.json'), JSON.stringify(publicKeySet(keys)));
    const file = join(dir, 'passwords.json');
    if (!existsSync(file)) {
      const made = roles.map((role) => [role, randomBytes(9).toString('base64url')] as const);
      await writeUsers(dir, new Map(made), countries);
      await writePrivate(file, JSON.stringify(Object.fromEntries(made)));
    }
    return new DemoUsers(issuer, keys, passwords.parse(JSON.parse(await readFile(file, 'utf8'))));
  }

  private constructor(issuer: string, keys: Keys, of: Readonly<Record<string, string>>) {
    this.#issuer = issuer;
    this.#keys = keys;
    this.#passwords = of;
  }

  login(role: Role): { user: string; password: string } {
    const { user } = rightsOf[role];
    return { user, password: must(this.#passwords[role], 'every role has a password') };
  }

  token(role: Role, country: CountryCode, now: number): string {
    return this.mint(rightsOf[role], country, now);
  }

  /** A ready token for somebody who need not be able to log in. */
  mint(user: RoleRights, country: CountryCode, now = Date.now()): string {
    return mintToken(this.#keys, {
      issuer: this.#issuer,
      country,
      user,
      lifetimeSeconds: tokenLifetimeSeconds,
      now,
    });
  }
}

async function writeUsers(
  dir: string,
  made: ReadonlyMap<Role, string>,
  countries: readonly CountryCode[],
): Promise<void> {
  const users: UsersFile['users'] = [];
  for (const [role, password] of made)
    users.push({
      ...rightsOf[role],
      passwordHash: await passwordHash(password),
      countries: [...countries],
    });
  await writePrivate(join(dir, 'users.json'), JSON.stringify({ users }));
}
