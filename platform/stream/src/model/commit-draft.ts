import type { AccountRecord } from '@domicile/core/account.ts';
import { gatewayDevice } from '@domicile/core/identities.ts';
import type { QuarantineEntry, QuarantineReason } from '@domicile/core/quarantine.ts';
import type { Reading } from '@domicile/core/reading.ts';
import type { SentReading } from '@domicile/core/telemetry.ts';
import { AccountChanges, type AccountPlace } from './account-changes.ts';
import { JsonParts } from './json-parts.ts';
import type { PartitionState } from './partition-state.ts';
import type { KnownBuilding } from './registry.ts';
import { faultOfTime } from './time-rules.ts';

/** A record of `telemetry` or `backfill`. */
export interface Received {
  readonly stream: 'telemetry' | 'backfill';
  readonly partition: number;
  readonly offset: number;
  readonly receivedAtMs: number;
  readonly building: string;
  readonly device: string;
  readonly schema: string;
  readonly value: Uint8Array;
}

interface NumberOf {
  readonly boot: string;
  readonly seq: number;
}

/** A unit that is not taken in. */
interface Refused {
  readonly pointer: string;
  readonly reason: QuarantineReason;
  readonly detail: string;
  /** Of the reading that is lost with it. */
  readonly number: NumberOf | null;
  /** If it is a value. */
  readonly metric?: string | undefined;
}

/** A record while it is being refined, with what is known of where it came from. */
export class SourceRecord {
  readonly received: Received;
  readonly building: KnownBuilding | undefined;
  readonly state: PartitionState;
  #parts: JsonParts | undefined;

  constructor(received: Received, building: KnownBuilding | undefined, state: PartitionState) {
    this.received = received;
    this.building = building;
    this.state = state;
  }

  /** The unit as it came. `pointer`: of a reading, or of a value of it; of the payload if it is empty. */
  bytesOf(pointer: string, metric?: string): Uint8Array {
    this.#parts ??= new JsonParts(this.received.value);
    return this.#parts.bytesOf(readingPointerOf(pointer), metric);
  }
}

/** Of the reading to which a value belongs; a pointer of a reading is its own. */
export function readingPointerOf(pointer: string): string {
  const [reading = ''] = pointer.split('/values/', 1);
  return reading;
}

/** What one commit has gathered so far, before it is known where its readings stand. */
export class CommitDraft {
  readonly readings: Reading[] = [];
  readonly quarantined: QuarantineEntry[] = [];
  readonly strangers: [building: string, device: string][] = [];
  duplicates = 0;
  recordMs = 0;
  tickMs = 0;
  readonly #accounts = new Map<string, AccountChanges>();

  sawRecord(atMs: number): void {
    if (atMs > this.recordMs) this.recordMs = atMs;
  }

  sawTick(atMs: number): void {
    if (atMs > this.tickMs) this.tickMs = atMs;
  }

  accountOf(building: string): AccountChanges {
    let account = this.#accounts.get(building);
    if (account === undefined) this.#accounts.set(building, (account = new AccountChanges()));
    return account;
  }

  duplicate({ received }: SourceRecord, place: AccountPlace): void {
    this.duplicates += 1;
    this.accountOf(received.building).duplicate(place);
  }

  quarantine(source: SourceRecord, refused: Refused): void {
    const { received } = source;
    const { pointer, reason, detail, number, metric } = refused;
    this.quarantined.push({
      building: received.building,
      device: received.device,
      stream: received.stream,
      partition: received.partition,
      offset: received.offset,
      pointer,
      reason,
      detail,
      boot: number?.boot ?? null,
      seq: number?.seq ?? null,
      receivedAtMs: received.receivedAtMs,
      bytes: Buffer.from(source.bytesOf(pointer, metric)).toString('base64'),
    });
  }

  /** A whole reading, with its number if it has one. */
  quarantineReading(
    source: SourceRecord,
    { pointer, boot, seq, atMs }: SentReading,
    why: { readonly reason: QuarantineReason; readonly detail: string },
  ): void {
    const number = boot !== null && seq !== null ? { boot, seq } : null;
    this.quarantine(source, { pointer, ...why, number });
    // A number that was used before is another reading's, so this one counts as one without.
    this.lostNumber(source, why.reason === 'sequence-reused' ? null : number, atMs);
  }

  /** Puts a lost reading or payload into the account of its building, if anybody can see that. */
  lostNumber(source: SourceRecord, number: NumberOf | null, toldMs: number | null = null): void {
    const { building, received } = source;
    if (building === undefined) return;
    const { receivedAtMs, device } = received;
    const isRight = toldMs !== null && faultOfTime(toldMs, receivedAtMs) === undefined;
    const atMs = isRight ? toldMs : receivedAtMs;
    const account = this.accountOf(received.building);
    if (this.isNamed(source, device))
      account.quarantined({ device, boot: number?.boot ?? null, atMs }, number?.seq ?? null);
    else account.quarantined({ device: gatewayDevice, boot: null, atMs }, null);
  }

  /** Whether the account may name this device: a declared one, the gateway, or one of a bounded number of strangers. */
  isNamed({ building, received, state }: SourceRecord, device: string): boolean {
    if (device === gatewayDevice || building?.devices.has(device)) return true;
    const known = state.building(received.building);
    if (known.hasStranger(device)) return true;
    if (!known.noteStranger(device)) return false;
    this.strangers.push([received.building, device]);
    return true;
  }

  accountRecords(): AccountRecord[] {
    return [...this.#accounts].map(([building, account]) => ({
      building,
      entries: account.entries(),
    }));
  }
}
