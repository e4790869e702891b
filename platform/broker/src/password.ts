import { createHash, randomBytes, scrypt, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';

interface Costs {
  readonly N: number;
  readonly r: number;
  readonly p: number;
}

const derive = promisify<Buffer, Buffer, number, Costs & { maxmem: number }, Buffer>(scrypt);

/** OWASP's smallest: 16 MiB and some tens of milliseconds. */
const defaultCosts: Costs = { N: 16_384, r: 8, p: 1 };
const hashBytes = 32;
const memoryBytesMax = 134_217_728;
/** Derivations at once: each holds a thread of the pool, and 16 MiB. */
const derivationsMax = 2;
const waitingMax = 1024;
/** Of them, for one hash. */
const lineMax = 128;
const knownMax = 20_000;
const wrongMax = 20_000;

/** `scrypt$N$r$p$salt$hash`, base64, as the registry keeps it. */
export async function hashPassword(
  password: string,
  { N, r, p }: Costs = defaultCosts,
): Promise<string> {
  const salt = randomBytes(16);
  const hash = await derive(Buffer.from(password), salt, hashBytes, {
    N,
    r,
    p,
    maxmem: memoryBytesMax,
  });
  return ['scrypt', N, r, p, salt.toString('base64'), hash.toString('base64')].join('$');
}

/**
 * Checks passwords against the registry's hashes, a few at a time and the hashes in turn, so that who guesses at one
 * building's holds up no other's. What was right once is remembered as a digest with a salt of this process, so that a
 * thousand gateways that come back cost one derivation each in the life of the process; so is what was wrong, since
 * a gateway with an old password comes again and again.
 */
export class PasswordChecker {
  readonly #salt = randomBytes(32);
  readonly #known = new Map<string, Buffer>();
  readonly #wrong = new Set<string>();
  /** What is being found out, so that the same question is asked once. */
  readonly #asked = new Map<string, Promise<boolean | 'busy'>>();
  readonly #lines = new Map<string, (() => void)[]>();
  #running = 0;
  #waiting = 0;

  /** `busy`: too many are waiting, in all or for this hash. */
  async check(password: Buffer, passwordHash: string): Promise<boolean | 'busy'> {
    const digest = createHash('sha256')
      .update(this.#salt)
      .update(passwordHash)
      .update('\0')
      .update(password)
      .digest();
    const known = this.#known.get(passwordHash);
    if (known && timingSafeEqual(known, digest)) return true;
    const name = digest.toString('base64');
    if (this.#wrong.has(name)) return false;
    const asked = this.#asked.get(name);
    if (asked) return asked;
    const answer = this.#derive(password, passwordHash).finally(() => this.#asked.delete(name));
    this.#asked.set(name, answer);
    const right = await answer;
    if (right === true) {
      if (this.#known.size >= knownMax) this.#known.clear();
      this.#known.set(passwordHash, digest);
    } else if (right === false) {
      if (this.#wrong.size >= wrongMax) this.#wrong.clear();
      this.#wrong.add(name);
    }
    return right;
  }

  async #derive(password: Buffer, passwordHash: string): Promise<boolean | 'busy'> {
    if (!(await this.#turn(passwordHash))) return 'busy';
    return matches(password, passwordHash).finally(() => this.#next());
  }

  async #turn(passwordHash: string): Promise<boolean> {
    if (this.#running < derivationsMax) {
      this.#running += 1;
      return true;
    }
    const line = this.#lines.get(passwordHash) ?? [];
    if (this.#waiting >= waitingMax || line.length >= lineMax) return false;
    this.#lines.set(passwordHash, line);
    this.#waiting += 1;
    await new Promise<void>((resolve) => {
      line.push(resolve);
    });
    return true;
  }

  /** Hands the place on to the hash whose turn it is. */
  #next(): void {
    const [turn] = this.#lines;
    if (!turn) {
      this.#running -= 1;
      return;
    }
    const [passwordHash, line] = turn;
    const resolve = line.shift();
    this.#lines.delete(passwordHash);
    if (line.length > 0) this.#lines.set(passwordHash, line);
    this.#waiting -= 1;
    resolve?.();
  }
}

const format = /^scrypt\$(\d{1,8})\$(\d{1,3})\$(\d{1,3})\$([A-Za-z0-9+/=]+)\$([A-Za-z0-9+/=]+)$/;

async function matches(password: Buffer, passwordHash: string): Promise<boolean> {
  const [, N, r, p, salt = '', hash = ''] = format.exec(passwordHash) ?? [];
  const wanted = Buffer.from(hash, 'base64');
  if (wanted.length === 0) return false;
  const costs = { N: Number(N), r: Number(r), p: Number(p), maxmem: memoryBytesMax };
  // Costs that scrypt does not take are a fault of the registry, and nobody's right password.
  const derived = await derive(password, Buffer.from(salt, 'base64'), wanted.length, costs).catch(
    () => undefined,
  );
  return derived !== undefined && timingSafeEqual(derived, wanted);
}
