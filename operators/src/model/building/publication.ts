import type { BuildingRecord } from '@domicile/core/building.ts';
import { type Claim, standingOf } from './claim.ts';

/** What the registry says of a building. */
export interface RegistryEntry {
  /** JSON of the record, as it stands there. */
  readonly value: string;
  readonly client: string;
  readonly state: 'active' | 'offboarded';
  readonly passwordHash: string | null;
  readonly claim: Claim | undefined;
  /** Since when it says so, Unix milliseconds: when it was written, unless that was said with it. */
  readonly sinceMs: number;
}

export interface PublicationRequest {
  readonly building: string;
  readonly claim: Claim;
  /** Null: the building is erased, and its record with it. */
  readonly record: BuildingRecord | null;
  /** Absent: since it is written. */
  readonly sinceMs?: number;
  /** A claim that was found void, or younger: it is overridden. */
  readonly over?: Claim;
}

export type Publication =
  | { readonly kind: 'write'; readonly value: string | null }
  | { readonly kind: 'same' }
  /** The registry knows a newer state of the resource than whoever asks. */
  | { readonly kind: 'stale' }
  | { readonly kind: 'contested'; readonly holder: Claim }
  | { readonly kind: 'client-differs'; readonly client: string };

/** Whether a record has to be written, and may be. */
export function publicationOf(
  { claim, record, over }: PublicationRequest,
  present: RegistryEntry | undefined,
): Publication {
  const standing = standingOf(claim, present?.claim);
  if (standing === 'stale') return { kind: 'stale' };
  const holder = present?.claim;
  if (standing === 'contested' && holder && holder.uid !== over?.uid)
    return { kind: 'contested', holder };
  if (record === null) return present ? { kind: 'write', value: null } : { kind: 'same' };
  if (present && present.client !== record.client)
    return { kind: 'client-differs', client: present.client };
  const value = JSON.stringify(record);
  return standing === 'mine' && present?.value === value
    ? { kind: 'same' }
    : { kind: 'write', value };
}

/** By which whoever keeps something of an offboarded building by itself drops it. */
export function erasedRecord(record: BuildingRecord): BuildingRecord {
  return { ...offboardedRecord(record), erased: true };
}

/** The record of a building that is out, from the one that was there. */
export function offboardedRecord(record: BuildingRecord): BuildingRecord {
  return { ...record, state: 'offboarded', passwordHash: null };
}
