/**
 * The values of one device in one window, at one place and with one set of metrics: plain rows of numbers while they are
 * few, since most are told once and then only kept. Written for speed: every value of a cell passes here.
 */
import {
  addValue,
  type Aggregate,
  decodeAggregate,
  emptyAggregate,
  encodeAggregate,
  type EncodedAggregate,
} from '@domicile/core/aggregate.ts';
import { addSquareTo, addTo, canonicalTerms } from '@domicile/core/exact-sum.ts';
import { numericValue, type Reading } from '@domicile/core/reading.ts';
import { bucketOf } from '@domicile/core/sketch.ts';

/** More readings are kept as aggregates: a device that speaks every 10 s says six in a window. */
export const rowsMax = 32;

/** Numeric metrics that come together, with their units. */
export interface Columns {
  readonly metrics: readonly string[];
  readonly units: readonly string[];
}

export function columnsOf({ values, units }: Reading): Columns {
  const metrics = Object.keys(values).filter(
    (metric) => numericValue(values[metric] ?? '') !== null,
  );
  return { metrics, units: metrics.map((metric) => units[metric] ?? '1') };
}

export class DeviceContent {
  readonly device: string;
  readonly floor: string;
  readonly room: string;
  readonly columns: Columns;
  firstOffset: number;
  /** Since it was last told. */
  isChanged = true;
  /** Of the same device, at another place or with other metrics. */
  next: DeviceContent | undefined;
  /** Row by row. */
  readonly #rows: number[] = [];
  #aggregates: Aggregate[] | undefined;

  constructor(
    { device, floor, room }: { device: string; floor: string; room: string },
    columns: Columns,
    firstOffset: number,
  ) {
    this.device = device;
    this.floor = floor;
    this.room = room;
    this.columns = columns;
    this.firstOffset = firstOffset;
    this.next = undefined;
  }

  /** Whether the reading belongs here: the same place, and the same metrics in the same order. */
  fits({ floor, room, values, units }: Reading): boolean {
    if (floor !== this.floor || room !== this.room) return false;
    const { metrics, units: own } = this.columns;
    let column = 0;
    for (const metric in values) {
      if (numericValue(values[metric] ?? '') === null) continue;
      if (metrics[column] !== metric || own[column] !== (units[metric] ?? '1')) return false;
      column += 1;
    }
    return column === metrics.length;
  }

  /** Adds the values of a reading that fits; `also` gets each too. */
  take({ values }: Reading, also: readonly Aggregate[]): void {
    this.isChanged = true;
    const { metrics } = this.columns;
    for (let column = 0; column < metrics.length; column += 1) {
      const number = numericValue(values[metrics[column] ?? ''] ?? '') ?? 0;
      const value = number === 0 ? 0 : number; // JSON knows no -0
      const aggregate = also[column];
      if (aggregate !== undefined) addValue(aggregate, value);
      const own = this.#aggregates?.[column];
      if (own === undefined) this.#rows.push(value);
      else addValue(own, value);
    }
    if (this.#rows.length > rowsMax * metrics.length) {
      this.#aggregates = metrics.map((_, column) => this.aggregate(column));
      this.#rows.length = 0;
    }
  }

  /** What is known of one column; not to be changed. */
  aggregate(column: number): Aggregate {
    const known = this.#aggregates?.[column];
    if (known !== undefined) return known;
    const aggregate = emptyAggregate();
    const stride = this.columns.metrics.length;
    for (let at = column; at < this.#rows.length; at += stride)
      addValue(aggregate, this.#rows[at] ?? 0);
    return aggregate;
  }

  encodedAggregate(column: number): EncodedAggregate {
    const known = this.#aggregates?.[column];
    if (known !== undefined) return encodeAggregate(known);
    return encodedColumn(this.#rows, column, this.columns.metrics.length);
  }

  encode(): EncodedDevice {
    const { device, floor, room, firstOffset, isChanged, columns } = this;
    const aggregates = this.#aggregates?.map((one) => encodeAggregate(one));
    return {
      place: [device, floor, room],
      first: firstOffset,
      changed: isChanged,
      metrics: columns.metrics,
      units: columns.units,
      rows: this.#rows,
      ...(aggregates && { aggregates }),
    };
  }

  static decode(encoded: EncodedDevice): DeviceContent {
    const { place, first, changed, metrics, units, rows, aggregates } = encoded;
    const [device, floor, room] = place;
    const content = new DeviceContent({ device, floor, room }, { metrics, units }, first);
    content.isChanged = changed;
    for (const value of rows) content.#rows.push(value);
    content.#aggregates = aggregates?.map((one) => decodeAggregate(one));
    return content;
  }
}

export interface EncodedDevice {
  readonly place: readonly [device: string, floor: string, room: string];
  readonly first: number;
  readonly changed: boolean;
  readonly metrics: readonly string[];
  readonly units: readonly string[];
  readonly rows: readonly number[];
  readonly aggregates?: readonly EncodedAggregate[];
}

/** As `encodeAggregate` of the column's values, without making the aggregate. */
export function encodedColumn(
  rows: readonly number[],
  column: number,
  stride: number,
): EncodedAggregate {
  const sum: number[] = [];
  const sumOfSquares: number[] = [];
  const buckets: number[] = [];
  let min = Infinity;
  let max = -Infinity;
  for (let at = column; at < rows.length; at += stride) {
    const value = rows[at] ?? 0;
    if (value < min) min = value;
    if (value > max) max = value;
    addTo(sum, value);
    addSquareTo(sumOfSquares, value);
    buckets.push(bucketOf(value));
  }
  const terms = [canonicalTerms(sum), canonicalTerms(sumOfSquares)] as const;
  return [buckets.length, min, max, ...terms, countedByBucket(buckets)];
}

function countedByBucket(buckets: number[]): number[] {
  buckets.sort((a, b) => a - b);
  const counted: number[] = [];
  let last = Number.NaN;
  for (const bucket of buckets) {
    if (bucket === last) counted[counted.length - 1] = (counted.at(-1) ?? 0) + 1;
    else counted.push(bucket, 1);
    last = bucket;
  }
  return counted;
}
