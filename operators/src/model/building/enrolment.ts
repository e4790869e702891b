import { z } from 'zod';
import { type Claim, encodeClaim, parseClaim, standingOf } from './claim.ts';

/** Secrets that the issuer mounts. One of a building takes some 250 bytes, and a Secret 1 MiB: 20,000 buildings in all. */
export const enrolmentShards = 8;

export function enrolmentSecretName(shard: number): string {
  return `issuer-enrolments-${shard}`;
}

export function enrolmentKey(building: string): string {
  return `${building}.json`;
}

/** By FNV-1a: any hash that never changes does. */
export function enrolmentShardOf(building: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < building.length; at += 1)
    hash = Math.imul(hash ^ building.charCodeAt(at), 0x01000193) >>> 0;
  return hash % enrolmentShards;
}

/** What the issuer reads of a building (platform/issuer), and whose word it is. */
const enrolmentSchema = z.object({
  building: z.string(),
  state: z.enum(['active', 'offboarded']),
  tokenSha256: z.string(),
  claim: z.string().optional(),
});

export interface EnrolmentChange {
  readonly building: string;
  readonly claim: Claim;
  /** Null: nothing is left of it. */
  readonly entry: { readonly state: 'active' | 'offboarded'; readonly tokenSha256: string } | null;
}

export function encodeEnrolment({ building, claim, entry }: EnrolmentChange): string | null {
  return entry && JSON.stringify({ building, ...entry, claim: encodeClaim(claim) });
}

/** The value to be written, `undefined` if it is there already or what is there was written for a newer state. */
export function enrolmentToWrite(
  change: EnrolmentChange,
  present: string | undefined,
): string | null | undefined {
  const wanted = encodeEnrolment(change);
  if (wanted === null) return present === undefined ? undefined : null;
  if (present === undefined) return wanted;
  const found = readEnrolment(present);
  if (standingOf(change.claim, parseClaim(found?.claim)) === 'stale') return undefined;
  const isSame =
    found?.building === change.building &&
    found.state === change.entry?.state &&
    found.tokenSha256 === change.entry.tokenSha256 &&
    parseClaim(found.claim)?.uid === change.claim.uid;
  return isSame ? undefined : wanted;
}

/** Undefined for what is none. */
export function readEnrolment(text: string): z.output<typeof enrolmentSchema> | undefined {
  try {
    return enrolmentSchema.parse(JSON.parse(text));
  } catch {
    return undefined;
  }
}
