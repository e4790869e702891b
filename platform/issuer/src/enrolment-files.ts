import { createHash, timingSafeEqual } from 'node:crypto';
import { mkdir, readdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { BuildingId } from '@domicile/core/identities.ts';
import { z } from 'zod';

/**
 * What the issuer knows of a building: `{building}.json` in its folder or in a folder of that, written by whoever declares
 * buildings. A new token is a new file; taking the file away, or another state, ends renewal too.
 */
const enrolmentSchema = z.object({
  building: z.string(),
  state: z.enum(['active', 'offboarded']),
  /** SHA-256 of the token, hex: it is random, so it needs no slow hash. */
  tokenSha256: z.string().regex(/^[0-9a-f]{64}$/),
});

export type Enrolment = z.output<typeof enrolmentSchema>;

const tokenCharsMax = 256;

/** Shares of the buildings, as where each is a Secret of Kubernetes with its bound of 1 MiB. */
const sharesMax = 64;

/** Undefined if the building is not declared. Throws what the disk throws, and what is wrong with the file. */
export async function readEnrolment(
  directory: string,
  building: BuildingId,
): Promise<Enrolment | undefined> {
  const own = await textOf(fileOf(directory, building));
  if (own !== undefined) return enrolmentSchema.parse(JSON.parse(own));
  for (const share of await sharesIn(directory)) {
    const text = await textOf(fileOf(join(directory, share), building));
    if (text !== undefined) return enrolmentSchema.parse(JSON.parse(text));
  }
  return undefined;
}

async function textOf(file: string): Promise<string | undefined> {
  return readFile(file, 'utf8').catch((error: unknown) => {
    if (isAbsent(error)) return undefined;
    throw error;
  });
}

/** By name; hidden folders are those of a volume that is being renewed. */
async function sharesIn(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { withFileTypes: true }).catch((error: unknown) => {
    if (isAbsent(error)) return [];
    throw error;
  });
  return entries
    .filter((entry) => entry.isDirectory() && !entry.name.startsWith('.'))
    .map(({ name }) => name)
    .toSorted()
    .slice(0, sharesMax);
}

function isAbsent(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT';
}

/** Whole or not at all, for the process's own user. */
export async function writeEnrolment(
  directory: string,
  building: BuildingId,
  { state, token }: { readonly state: Enrolment['state']; readonly token: string },
): Promise<void> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const file = fileOf(directory, building);
  const enrolment: Enrolment = { building, state, tokenSha256: tokenHash(token) };
  await writeFile(`${file}.next`, JSON.stringify(enrolment), { mode: 0o600 });
  await rename(`${file}.next`, file);
}

function fileOf(directory: string, building: BuildingId): string {
  return join(directory, `${building}.json`);
}

export function tokenHash(token: string): string {
  return createHash('sha256').update(token).digest('hex');
}

/** Takes as long whether it is right or wrong. */
export function isToken(given: string, { tokenSha256 }: Enrolment): boolean {
  if (given.length > tokenCharsMax) return false;
  return timingSafeEqual(Buffer.from(tokenHash(given), 'hex'), Buffer.from(tokenSha256, 'hex'));
}
