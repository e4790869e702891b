import type { QuarantineEntry } from '@domicile/core/quarantine.ts';
import { numericValue, type Reading } from '@domicile/core/reading.ts';
import type { ColumnSpec, ColumnValues } from '../parquet/columns.ts';

const utf8 = { type: 'utf8', nullable: false } as const;
const whole = { type: 'int64', nullable: false, delta: true } as const;
const time = { type: 'timestamp', nullable: false, delta: true } as const;

/** Of a landed value (contracts §3): names, types, nullability, order. */
export const landedValueColumns: readonly ColumnSpec[] = [
  { name: 'building', ...utf8 },
  { name: 'floor', ...utf8 },
  { name: 'room', ...utf8 },
  { name: 'device', ...utf8 },
  { name: 'metric', ...utf8 },
  { name: 'unit', ...utf8 },
  { name: 'measured_at', ...time },
  { name: 'received_at', ...time },
  { name: 'value', type: 'double', nullable: true },
  { name: 'text', ...utf8, nullable: true, unbounded: true },
  { name: 'boot', ...utf8, nullable: true },
  { name: 'seq', ...whole, nullable: true },
  { name: 'time_source', ...utf8 },
  { name: 'kafka_partition', type: 'int32', nullable: false },
  { name: 'kafka_offset', ...whole },
];

/** Of what was acked and not taken in. `payload_base64` is the unit as received. */
export const landedQuarantineColumns: readonly ColumnSpec[] = [
  { name: 'building', ...utf8 },
  { name: 'device', ...utf8 },
  { name: 'reason', ...utf8 },
  { name: 'detail', ...utf8, unbounded: true },
  { name: 'pointer', ...utf8, unbounded: true },
  { name: 'boot', ...utf8, nullable: true },
  { name: 'seq', ...whole, nullable: true },
  { name: 'received_at', ...time },
  { name: 'payload_base64', ...utf8, unbounded: true },
  { name: 'source_stream', ...utf8 },
  { name: 'source_partition', type: 'int32', nullable: false },
  { name: 'source_offset', ...whole },
  { name: 'kafka_partition', type: 'int32', nullable: false },
  { name: 'kafka_offset', ...whole },
];

/** Where a record stands in its stream. */
export interface RecordPlace {
  readonly partition: number;
  readonly offset: bigint;
}

type Cell = string | number | bigint | null;

/** Rows as columns, filled one after the other. */
export class LandingRows {
  readonly columns: readonly ColumnSpec[];
  readonly #values: Cell[][];
  #count = 0;

  constructor(columns: readonly ColumnSpec[]) {
    this.columns = columns;
    this.#values = columns.map(() => []);
  }

  get count(): number {
    return this.#count;
  }

  get values(): ReadonlyMap<string, ColumnValues> {
    return new Map(this.columns.map(({ name }, index) => [name, this.#values[index] ?? []]));
  }

  /** In the order of the columns. */
  add(cells: readonly Cell[]): void {
    for (let index = 0; index < cells.length; index += 1)
      this.#values[index]?.push(cells[index] ?? null);
    this.#count += 1;
  }
}

/** One row per value of the reading. */
export function addReading(rows: LandingRows, reading: Reading, place: RecordPlace): void {
  const measuredAt = reading.measuredAtMs * 1000;
  const receivedAt = reading.receivedAtMs * 1000;
  for (const [metric, value] of Object.entries(reading.values)) {
    rows.add([
      reading.building,
      reading.floor,
      reading.room,
      reading.device,
      metric,
      reading.units[metric] ?? '',
      measuredAt,
      receivedAt,
      numericValue(value),
      typeof value === 'string' ? value : null,
      reading.boot,
      reading.seq,
      reading.timeSource,
      place.partition,
      place.offset,
    ]);
  }
}

export function addQuarantined(
  rows: LandingRows,
  entry: QuarantineEntry,
  place: RecordPlace,
): void {
  rows.add([
    entry.building,
    entry.device,
    entry.reason,
    entry.detail,
    entry.pointer,
    entry.boot,
    entry.seq,
    entry.receivedAtMs * 1000,
    entry.bytes,
    entry.stream,
    entry.partition,
    entry.offset,
    place.partition,
    place.offset,
  ]);
}
