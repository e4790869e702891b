import { randomBytes, scrypt, timingSafeEqual } from 'node:crypto';
import { PlatformError } from '@domicile/core/errors.ts';

/** RFC 7914; about 50 ms and 32 MiB a check. */
const cost = { N: 2 ** 15, r: 8, p: 1, maxmem: 64 * 2 ** 20 };
const saltBytes = 16;
const keyBytes = 32;

/** At once, so that log-ins cannot take all of the memory; more are told to try again. */
const checksMax = 4;
let checks = 0;

/** `scrypt${N}${r}${p}${salt}${key}`, salt and key in base64url. */
export async function passwordHash(password: string): Promise<string> {
  const salt = randomBytes(saltBytes);
  const key = await derived(password, salt, cost);
  const { N, r, p } = cost;
  return ['scrypt', N, r, p, salt.toString('base64url'), key.toString('base64url')].join('$');
}

/** Takes the same time for a user that does not exist: pass no hash. Throws `RATE_LIMITED` if too many run. */
export async function isPassword(password: string, hash: string | undefined): Promise<boolean> {
  if (checks >= checksMax)
    throw new PlatformError('RATE_LIMITED', 'Cannot check the password now: try again');
  checks += 1;
  try {
    const [, n, r, p, salt = '', key = ''] = (hash ?? nobody).split('$');
    const expected = Buffer.from(key, 'base64url');
    const options = { N: Number(n), r: Number(r), p: Number(p), maxmem: cost.maxmem };
    const given = await derived(password, Buffer.from(salt, 'base64url'), options);
    return hash !== undefined && timingSafeEqual(given, expected);
  } finally {
    checks -= 1;
  }
}

export const passwordHashPattern = /^scrypt\$\d{4,6}\$8\$1\$[\w-]{22}\$[\w-]{43}$/;

const nobody = `scrypt$${cost.N}$8$1$${'A'.repeat(22)}$${'A'.repeat(43)}`;

function derived(password: string, salt: Buffer, options: typeof cost): Promise<Buffer> {
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  scrypt(password.normalize('NFKC'), salt, keyBytes, options, (error, key) => {
    if (error) reject(error);
    else resolve(key);
  });
  return promise;
}
