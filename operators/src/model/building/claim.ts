/** Which resource a building's record, or its enrolment, was written for, and at which state of it. */
export interface Claim {
  readonly namespace: string;
  readonly uid: string;
  readonly generation: number;
  /** Unix milliseconds, whole seconds as the API server has them. */
  readonly createdAtMs: number;
}

/** The header of a record of the registry that tells its claim. */
export const claimHeader = 'claim';

export function encodeClaim({ namespace, uid, generation, createdAtMs }: Claim): string {
  return [namespace, uid, generation, createdAtMs].join(' ');
}

/** Undefined for what is none: nobody of this cluster has claimed it then. */
export function parseClaim(text: string | undefined): Claim | undefined {
  const match = /^([a-z0-9-]{1,63}) ([A-Za-z0-9-]{1,64}) (\d{1,15}) (\d{1,15})$/.exec(text ?? '');
  if (!match) return undefined;
  const [, namespace = '', uid = '', generation, createdAtMs] = match;
  return { namespace, uid, generation: Number(generation), createdAtMs: Number(createdAtMs) };
}

/**
 * How `mine` stands to what is written: nobody's; this very resource's; this resource's, written for a newer state of it, as when a
 * leader was paused meanwhile; another resource's.
 */
export type Standing = 'free' | 'mine' | 'stale' | 'contested';

export function standingOf(mine: Claim, written: Claim | undefined): Standing {
  if (written === undefined) return 'free';
  if (written.uid !== mine.uid) return 'contested';
  return written.generation > mine.generation ? 'stale' : 'mine';
}

/** Of two resources that name one building the older is right; of equal age, the first by namespace. */
export function isOlder(a: Claim, b: Claim): boolean {
  if (a.createdAtMs !== b.createdAtMs) return a.createdAtMs < b.createdAtMs;
  return a.namespace < b.namespace;
}
