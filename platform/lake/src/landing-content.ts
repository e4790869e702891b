import { createHash } from 'node:crypto';
import type { CountryCode } from '@domicile/core/countries.ts';
import { PlatformError } from '@domicile/core/errors.ts';
import { LandedFileContent } from './model/landed-file.ts';
import {
  addQuarantined,
  addReading,
  landedQuarantineColumns,
  landedValueColumns,
} from './model/landing-columns.ts';
import { decodeQuarantined, decodeReading, type Refusal } from './model/landing-decode.ts';
import { hourOf, type LandedStream, landingKey } from './model/landing-key.ts';
import type { LandingPlan } from './model/landing-plan.ts';

/** A record of `readings` or `quarantine` as read. */
export interface LandingRecord {
  readonly offset: bigint;
  readonly value: Buffer | null;
}

export interface LandingOrigin {
  readonly country: CountryCode;
  readonly stream: LandedStream;
  readonly partition: number;
  /** The end of the plan before. */
  readonly first: bigint;
}

/** Of one plan; the record that reaches it is still taken. */
export const rowsPerPlanMax = 200_000;
/** Hours of receipt in one plan: when live and late records alternate. */
export const hoursPerPlanMax = 24;

/** A range of a partition's records on its way into files, one for each hour of receipt. */
export class LandingContent {
  readonly origin: LandingOrigin;
  readonly refused: { offset: string; reason: Refusal }[] = [];
  readonly #files = new Map<number, LandedFileContent>();
  readonly #hash = createHash('sha256');
  readonly #head = Buffer.alloc(12);
  readonly #rowsMax: number;
  #digest: string | undefined;
  #records = 0;
  #rows = 0;
  #last: bigint;

  constructor(origin: LandingOrigin, rowsMax = rowsPerPlanMax) {
    this.origin = origin;
    this.#rowsMax = rowsMax;
    this.#last = origin.first - 1n;
  }

  get records(): number {
    return this.#records;
  }

  get rows(): number {
    return this.#rows;
  }

  get last(): bigint {
    return this.#last;
  }

  /** The digest is taken once: nothing is added afterwards. */
  get digest(): string {
    this.#digest ??= this.#hash.digest('hex');
    return this.#digest;
  }

  /** By hour. */
  get files(): LandedFileContent[] {
    return [...this.#files.values()].toSorted((a, b) => a.hourMs - b.hourMs);
  }

  get isFull(): boolean {
    return this.#rows >= this.#rowsMax || this.#files.size >= hoursPerPlanMax;
  }

  /** Records come by rising offset. */
  add(record: LandingRecord): void {
    const { offset, value } = record;
    if (offset <= this.#last)
      throw new PlatformError('OBJECT_MISMATCH', 'Cannot land: records do not follow each other');
    this.#head.writeBigUInt64BE(offset);
    this.#head.writeInt32BE(value?.length ?? -1, 8);
    this.#hash.update(this.#head);
    if (value) this.#hash.update(value);
    this.#records += 1;
    this.#last = offset;
    const refusal = this.origin.stream === 'readings' ? this.#read(record) : this.#entry(record);
    if (refusal) this.refused.push({ offset: `${offset}`, reason: refusal });
  }

  plan(): LandingPlan {
    const { stream, partition, first } = this.origin;
    const range = { stream, partition, first, last: this.#last };
    const buildings = this.files.flatMap((file) => file.buildings);
    return {
      version: 1,
      ...range,
      digest: this.digest,
      records: this.#records,
      measuredFromMs: finite(Math.min(...buildings.map((one) => one.measuredFromMs))),
      measuredToMs: finite(Math.max(...buildings.map((one) => one.measuredToMs))),
      files: this.files.map(({ hourMs }) => ({ hourMs, path: landingKey(range, hourMs) })),
    };
  }

  #read({ offset, value }: LandingRecord): Refusal | undefined {
    const reading = decodeReading(this.origin.country, value);
    if (typeof reading === 'string') return reading;
    const file = this.#fileOf(reading.receivedAtMs);
    const before = file.rows.count;
    addReading(file.rows, reading, { partition: this.origin.partition, offset });
    file.count({ ...reading, rows: file.rows.count - before });
    this.#rows += file.rows.count - before;
    return undefined;
  }

  #entry({ offset, value }: LandingRecord): Refusal | undefined {
    const entry = decodeQuarantined(this.origin.country, value);
    if (typeof entry === 'string') return entry;
    const file = this.#fileOf(entry.receivedAtMs);
    addQuarantined(file.rows, entry, { partition: this.origin.partition, offset });
    const { building, receivedAtMs } = entry;
    file.count({ building, rows: 1, measuredAtMs: receivedAtMs, receivedAtMs });
    this.#rows += 1;
    return undefined;
  }

  #fileOf(receivedAtMs: number): LandedFileContent {
    const hourMs = hourOf(receivedAtMs);
    const found = this.#files.get(hourMs);
    if (found) return found;
    const isReadings = this.origin.stream === 'readings';
    const columns = isReadings ? landedValueColumns : landedQuarantineColumns;
    const fresh = new LandedFileContent(hourMs, columns);
    this.#files.set(hourMs, fresh);
    return fresh;
  }
}

function finite(timeMs: number): number | null {
  return Number.isFinite(timeMs) ? timeMs : null;
}
