import { createPublicKey, type KeyObject } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { PlatformError } from '@domicile/core/errors.ts';
import { z } from 'zod';

/** The issuer's public keys by their id. */
export interface KeySet {
  /** Undefined for a key that the issuer has not published. Throws `UPSTREAM_UNAVAILABLE` if none was ever read. */
  keyOf(kid: string): Promise<KeyObject | undefined>;
  /** Why tokens cannot be judged yet; undefined if they can. */
  fault(): string | undefined;
}

const bytesMax = 64 * 1024;
const keysMax = 32;
const fetchTimeoutMs = 3_000;
/** Keys are read again after this, so that one which was taken back is no longer believed. */
const freshMs = 5 * 60_000;
/** An unknown id makes us look again, but not more often than this: ids come from strangers. */
const lookAgainMs = 10_000;
/** The same before the first set was read, when nobody is served anyway. */
const lookFirstMs = 1_000;

const jwks = z.object({
  keys: z
    .array(z.looseObject({ kid: z.string().max(200), kty: z.string(), use: z.string().optional() }))
    .max(keysMax),
});

/**
 * Keeps the key set of an address (`https://…/jwks`) or a file. While the source is away the last one read
 * holds: a cell does not depend on the issuer to judge tokens.
 */
export function openKeySet(source: string, clock = () => performance.now()): KeySet {
  let keys: ReadonlyMap<string, KeyObject> | undefined;
  let failure: string | undefined = 'not read yet';
  let triedAt = -Infinity;
  let reading: Promise<void> | undefined;

  const read = async () => {
    triedAt = clock();
    try {
      keys = keysFrom(await textOf(source));
      failure = undefined;
    } catch (error) {
      failure = error instanceof Error ? error.message : 'unreadable';
    }
  };
  const refresh = () => {
    reading ??= read().finally(() => {
      reading = undefined;
    });
    return reading;
  };
  return {
    async keyOf(kid) {
      const age = clock() - triedAt;
      const isUnknown = !keys?.has(kid);
      if (age > freshMs || (isUnknown && age > (keys ? lookAgainMs : lookFirstMs))) await refresh();
      else if (isUnknown && reading) await reading;
      if (!keys)
        throw new PlatformError(
          'UPSTREAM_UNAVAILABLE',
          'Cannot judge tokens: no keys of the issuer',
        );
      return keys.get(kid);
    },
    fault: () => (keys ? undefined : `no keys of the issuer: ${failure}`),
  };
}

function keysFrom(text: string): ReadonlyMap<string, KeyObject> {
  const { keys } = jwks.parse(JSON.parse(text));
  const signing = keys.filter(({ use }) => use === undefined || use === 'sig');
  return new Map(
    signing.flatMap(({ kid, ...key }) => {
      const made = publicKeyOf(key);
      return made ? [[kid, made] as const] : [];
    }),
  );
}

/** A key of a kind that we do not take is left out; so is a secret one, whatever else it is. */
function publicKeyOf(key: Record<string, unknown>): KeyObject | undefined {
  if (key['kty'] !== 'RSA' && key['kty'] !== 'EC') return undefined;
  const { d: _secret, ...open } = key;
  try {
    return createPublicKey({ key: open, format: 'jwk' });
  } catch {
    return undefined;
  }
}

async function textOf(source: string): Promise<string> {
  const text = /^https?:\/\//.test(source) ? await fetched(source) : await readFile(source, 'utf8');
  if (text.length > bytesMax) throw new Error('the key set is too large');
  return text;
}

async function fetched(address: string): Promise<string> {
  const signal = AbortSignal.timeout(fetchTimeoutMs);
  const response = await fetch(address, { signal, redirect: 'error' });
  if (!response.ok) throw new Error(`the key set answered ${response.status}`);
  return response.text();
}
