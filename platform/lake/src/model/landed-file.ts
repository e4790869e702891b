import type { ColumnSpec } from '../parquet/columns.ts';
import { LandingRows } from './landing-columns.ts';
import type { ManifestBuilding } from './landing-plan.ts';

const minuteMs = 60_000;

interface Counted {
  rows: number;
  readings: number;
  measuredFromMs: number;
  measuredToMs: number;
  readonly minutes: Map<number, number>;
}

/** What one file is going to hold, and what its manifest says of it. */
export class LandedFileContent {
  readonly hourMs: number;
  readonly rows: LandingRows;
  readings = 0;
  receivedFromMs = Infinity;
  receivedToMs = -Infinity;
  readonly #buildings = new Map<string, Counted>();

  constructor(hourMs: number, columns: readonly ColumnSpec[]) {
    this.hourMs = hourMs;
    this.rows = new LandingRows(columns);
  }

  count(of: { building: string; rows: number; measuredAtMs: number; receivedAtMs: number }): void {
    const { building, rows, measuredAtMs, receivedAtMs } = of;
    this.readings += 1;
    this.receivedFromMs = Math.min(this.receivedFromMs, receivedAtMs);
    this.receivedToMs = Math.max(this.receivedToMs, receivedAtMs);
    const counted = this.#countedOf(building);
    counted.rows += rows;
    counted.readings += 1;
    counted.measuredFromMs = Math.min(counted.measuredFromMs, measuredAtMs);
    counted.measuredToMs = Math.max(counted.measuredToMs, measuredAtMs);
    const minute = Math.floor(measuredAtMs / minuteMs) * minuteMs;
    counted.minutes.set(minute, (counted.minutes.get(minute) ?? 0) + 1);
  }

  /** By building. */
  get buildings(): ManifestBuilding[] {
    return [...this.#buildings]
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([building, { minutes, ...counted }]) => ({
        building,
        ...counted,
        minutes: [...minutes].toSorted(([a], [b]) => a - b),
      }));
  }

  #countedOf(building: string): Counted {
    const found = this.#buildings.get(building);
    if (found) return found;
    const fresh = {
      rows: 0,
      readings: 0,
      measuredFromMs: Infinity,
      measuredToMs: -Infinity,
      minutes: new Map<number, number>(),
    };
    this.#buildings.set(building, fresh);
    return fresh;
  }
}
