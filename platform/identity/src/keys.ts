import {
  createHash,
  createPrivateKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
} from 'node:crypto';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';

const publicKey = z.object({
  kty: z.literal('EC'),
  crv: z.literal('P-256'),
  x: z.string(),
  y: z.string(),
});
const signingKey = publicKey.extend({
  d: z.string(),
  kid: z.string(),
  use: z.literal('sig'),
  alg: z.literal('ES256'),
});
const keysFile = z.object({
  /** The first signs; the others are still believed. */
  signing: z.array(signingKey).min(1),
  cookies: z.array(z.string().min(32)).min(1),
});

export type Keys = z.output<typeof keysFile>;

/** The keys of this issuer, made at the first start and kept, readable by its user alone. */
export async function keysIn(stateDir: string): Promise<Keys> {
  const file = join(stateDir, 'keys.json');
  await mkdir(stateDir, { recursive: true, mode: 0o700 });
  const kept = await readFile(file, 'utf8').catch((error: unknown) => {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (kept !== undefined) return keysFile.parse(JSON.parse(kept));
  const keys = { signing: [newSigningKey()], cookies: [randomBytes(32).toString('base64url')] };
  await writePrivately(file, JSON.stringify(keys));
  return keys;
}

/** What a cell holds: the public halves alone, as a JWKS. */
export function publicKeySet({ signing }: Keys): { readonly keys: readonly object[] } {
  return {
    keys: signing.map(({ kty, crv, x, y, kid, use, alg }) => ({ kty, crv, x, y, kid, use, alg })),
  };
}

export function privateKeyOf(key: Keys['signing'][number]): KeyObject {
  return createPrivateKey({ key, format: 'jwk' });
}

/** Whole or not at all, and for the process's own user. */
export async function writePrivately(file: string, content: string): Promise<void> {
  const next = `${file}.next`;
  await writeFile(next, content, { mode: 0o600, flush: true });
  await rename(next, file);
}

function newSigningKey(): Keys['signing'][number] {
  const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const { d } = z.object({ d: z.string() }).parse(pair.privateKey.export({ format: 'jwk' }));
  const { kty, crv, x, y } = publicKey.parse(pair.publicKey.export({ format: 'jwk' }));
  // RFC 7638: the members in this order.
  const kid = createHash('sha256').update(JSON.stringify({ crv, kty, x, y })).digest('base64url');
  return { kty, crv, x, y, d, kid, use: 'sig', alg: 'ES256' };
}
