import type { QuarantineEntry } from '@domicile/core/quarantine.ts';
import { numericValue, type Reading } from '@domicile/core/reading.ts';
import type { ColumnSpec, ColumnValues } from '../parquet/columns.ts';

const utf8 = { type: 'utf8', nullable: false } as const;
const whole = { type: 'int64', nullable: false, delta: true } as const;
const time = { type: 'timestamp', nullable: false, delta: true } as const;

/** Of a landed value (docs/api/lake.md): names, types, nullability, order. */
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
  /** In the order of the columns, all of one length. */
  readonly cells: Cell[][];

  constructor(columns: readonly ColumnSpec[]) {
    this.columns = columns;
    this.cells = columns.map(() => []);
  }

  get count(): number {
    return this.cells[0]?.length ?? 0;
  }

  get values(): ReadonlyMap<string, ColumnValues> {
    return new Map(this.columns.map(({ name }, index) => [name, this.cells[index] ?? []]));
  }

  /** In the order of the columns. */
  add(cells: readonly Cell[]): void {
    for (let index = 0; index < cells.length; index += 1)
      this.cells[index]?.push(cells[index] ?? null);
  }
}

/** One row per value of the reading. */
export function addReading(rows: LandingRows, reading: Reading, place: RecordPlace): void {
  const measuredAt = reading.measuredAtMs * 1000;
  const receivedAt = reading.receivedAtMs * 1000;
  const { building, floor, room, device, boot, seq, timeSource, values, units } = reading;
  const { partition, offset } = place;
  const cells: Cell[] = [
    building,
    floor,
    room,
    device,
    null,
    null,
    measuredAt,
    receivedAt,
    null,
    null,
    boot,
    seq,
    timeSource,
    partition,
    offset,
  ];
  // The same cells for each value of the reading: this is the inner loop of landing.
  for (const [metric, value] of Object.entries(values)) {
    cells[metricAt] = metric;
    cells[unitAt] = units[metric] ?? '';
    cells[valueAt] = numericValue(value);
    cells[textAt] = typeof value === 'string' ? value : null;
    rows.add(cells);
  }
}

const columnAt = (name: string) => landedValueColumns.findIndex((column) => column.name === name);
const [metricAt, unitAt] = [columnAt('metric'), columnAt('unit')];
const [valueAt, textAt] = [columnAt('value'), columnAt('text')];

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
