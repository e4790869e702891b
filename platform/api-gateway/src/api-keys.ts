import { createHash, randomBytes } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { PlatformError } from '@domicile/core/errors.ts';
import { type Claims, everyClient, scopes } from '@domicile/runtime/claims.ts';
import { fileVersion } from '@domicile/runtime/file-version.ts';
import { z } from 'zod';

const id = z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}$/);

const entry = z.strictObject({
  /** Names the key in logs and limits. */
  id,
  /** Of the whole key, in hex. A key is 32 random bytes, so a fast hash is enough. */
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
  client: z.union([z.literal(everyClient), id]),
  scopes: z.array(z.enum(scopes)),
  buildings: z.array(id).optional(),
  /** RFC 3339. */
  expiresAt: z.iso.datetime({ offset: true }),
});

const keysFile = z.strictObject({ keys: z.array(entry).max(10_000) });

export type ApiKeyEntry = z.output<typeof entry>;
export type FindApiKey = (key: string, now: number) => Promise<Claims | undefined>;

const keyCharsMax = 200;

/** Follows the file. Throws `CONFIG_INVALID` if it cannot be read. */
export function apiKeysIn(file: string | undefined): FindApiKey {
  if (file === undefined) return () => Promise.resolve(undefined);
  let known: { readonly of: string; readonly keys: Map<string, ApiKeyEntry> } | undefined;
  return async (key, now) => {
    if (key.length > keyCharsMax) return undefined;
    const of = fileVersion(await stat(file));
    if (known?.of !== of) known = { of, keys: parseKeys(await readFile(file)) };
    const found = known.keys.get(hashOf(key));
    return found && Date.parse(found.expiresAt) > now ? claimsOfKey(found) : undefined;
  };
}

/** A new key, which is shown once, and the hash that is kept. */
export function newApiKey(): { readonly key: string; readonly sha256: string } {
  const key = `dk_${randomBytes(32).toString('base64url')}`;
  return { key, sha256: hashOf(key) };
}

const hashOf = (key: string) => createHash('sha256').update(key).digest('hex');

function claimsOfKey({
  id: subject,
  client,
  scopes: granted,
  buildings,
  expiresAt,
}: ApiKeyEntry): Claims {
  return {
    subject: `key:${subject}`,
    client,
    scopes: new Set(granted),
    expiresAt: Math.floor(Date.parse(expiresAt) / 1000),
    ...(buildings && { buildings }),
  };
}

function parseKeys(content: Buffer): Map<string, ApiKeyEntry> {
  const read = keysFile.safeParse(jsonOf(content.toString()));
  if (read.success) return new Map(read.data.keys.map((one) => [one.sha256, one]));
  const faults = read.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`);
  throw new PlatformError('CONFIG_INVALID', `Cannot read API keys: ${faults.join('; ')}`);
}

function jsonOf(content: string): unknown {
  try {
    return JSON.parse(content);
  } catch {
    throw new PlatformError('CONFIG_INVALID', 'Cannot read API keys: the file is not JSON');
  }
}
