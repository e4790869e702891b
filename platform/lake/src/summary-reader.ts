import { type SummaryRecord, windowMs } from '@domicile/core/summary.ts';
import type { TimeWindow } from './model/local-days.ts';
import { emptyBuilding, type SummaryManifest } from './model/summary-manifest.ts';
import {
  coarsen,
  compareRows,
  mergeMinutes,
  newerOf,
  rowsOfRecord,
  type StoredRow,
  takeRow,
} from './model/summary-row.ts';
import {
  type CoarseInterval,
  finerOf,
  type SummaryInterval,
  windowAt,
  windowsIn,
} from './model/summary-windows.ts';
import { closesBuilding } from './model/unflushed-summaries.ts';
import type { RowFilter, SummaryParts } from './summary-parts.ts';

export interface WindowQuery extends TimeWindow {
  readonly interval: SummaryInterval;
  readonly building: string;
  readonly filter: Omit<RowFilter, 'fromMs' | 'toMs'>;
  /** Of days. */
  readonly zone: string;
  readonly tail: readonly SummaryRecord[];
}

interface Tail {
  readonly rows: readonly StoredRow[];
  /** Starts of the minutes that it speaks of. */
  readonly minutes: readonly number[];
  readonly closedMs: number;
}

const noTail: Tail = { rows: [], minutes: [], closedMs: -Infinity };

/** Reads one snapshot with a tail of records merged in. */
export class SummaryReader {
  readonly #manifest: SummaryManifest;
  readonly #parts: SummaryParts;

  constructor(manifest: SummaryManifest, parts: SummaryParts) {
    this.#manifest = manifest;
    this.#parts = parts;
  }

  /** The rows of the windows that begin in [startMs, endMs), in their order. */
  async read(query: WindowQuery): Promise<StoredRow[]> {
    const tail = tailOf(query);
    const rows = await this.#windows(query, tail);
    if (query.interval === 'PT1M') return rows.toSorted(compareRows);
    const closedMs = Math.max(this.#building(query.building).closedMs ?? -Infinity, tail.closedMs);
    return rows
      .map((row) => ({ ...row, final: row.final && row.windowEndMs <= closedMs }))
      .toSorted(compareRows);
  }

  /** The rows of coarser windows (by time), merged from the finer ones whatever is stored. */
  async merge(of: {
    readonly interval: CoarseInterval;
    readonly building: string;
    readonly windows: readonly TimeWindow[];
    readonly zone: string;
  }): Promise<StoredRow[]> {
    const { interval, building, windows, zone } = of;
    return this.#merged({ interval, building, zone, filter: {}, tail: [] }, windows, noTail);
  }

  /** How many rows one window of the building may be expected to have, over all levels. */
  rowsPerWindow(interval: SummaryInterval, building: string): number {
    let most = 1;
    for (const { parts } of this.#manifest.files[interval]) {
      const part = parts.find((one) => one.building === building);
      if (!part) continue;
      const windows = Math.max(1, (part.toMs - part.fromMs) / lengthMs[interval] + 1);
      most = Math.max(most, (part.rows[4] - part.rows[0]) / windows);
    }
    return most;
  }

  #building(building: string) {
    return this.#manifest.buildings[building] ?? emptyBuilding();
  }

  async #windows(query: WindowQuery, tail: Tail): Promise<StoredRow[]> {
    const { interval } = query;
    return interval === 'PT1M' ? this.#minutes(query, tail) : this.#coarse(query, interval, tail);
  }

  async #minutes(query: WindowQuery, tail: Tail): Promise<StoredRow[]> {
    const rows = await this.#stored(query, mergeMinutes);
    for (const row of tail.rows)
      if (row.windowStartMs >= query.startMs && row.windowStartMs < query.endMs)
        takeRow(rows, row, mergeMinutes);
    return [...rows.values()];
  }

  async #coarse(query: WindowQuery, interval: CoarseInterval, tail: Tail): Promise<StoredRow[]> {
    const pending = this.#pendingWindows(query, interval, tail);
    const stored = await this.#stored(query, newerOf);
    const stale = new Set(pending.map(({ startMs }) => startMs));
    const rows = [...stored.values()].filter((row) => !stale.has(row.windowStartMs));
    for (const row of await this.#merged({ ...query, interval }, pending, tail)) rows.push(row);
    return rows;
  }

  async #merged(
    query: Omit<WindowQuery, 'startMs' | 'endMs'> & { readonly interval: CoarseInterval },
    wanted: readonly TimeWindow[],
    tail: Tail,
  ): Promise<StoredRow[]> {
    const { interval, zone } = query;
    const rows: StoredRow[] = [];
    for (const { finer, startMs, endMs, windows } of runsOf(interval, wanted)) {
      const fine = await this.#windows({ ...query, interval: finer, startMs, endMs }, tail);
      const byWindow = Map.groupBy(
        fine,
        ({ windowStartMs }) => windowAt(interval, windowStartMs, zone).startMs,
      );
      for (const window of windows)
        for (const row of coarsen(
          byWindow.get(window.startMs) ?? [],
          window,
          this.#manifest.number,
        ))
          rows.push(row);
    }
    return rows;
  }

  /** Windows whose stored rows are not the truth: what has changed since, and days of another zone. */
  #pendingWindows(query: WindowQuery, interval: CoarseInterval, tail: Tail): TimeWindow[] {
    const { zone: daysOf, pending } = this.#building(query.building);
    if (interval === 'P1D' && daysOf !== query.zone)
      return [...windowsIn(interval, query, query.zone)];
    const found = new Map<number, TimeWindow>();
    for (const timeMs of [...pending[interval], ...tail.minutes]) {
      const window = windowAt(interval, timeMs, query.zone);
      if (window.startMs >= query.startMs && window.startMs < query.endMs)
        found.set(window.startMs, window);
    }
    return [...found.values()].toSorted((a, b) => a.startMs - b.startMs);
  }

  async #stored(
    query: WindowQuery,
    merge: (a: StoredRow, b: StoredRow) => StoredRow,
  ): Promise<Map<string, StoredRow>> {
    const { interval, building, startMs, endMs, filter } = query;
    const rows = new Map<string, StoredRow>();
    for (const file of this.#manifest.files[interval]) {
      const parts = file.parts.filter(
        (part) => part.building === building && part.fromMs < endMs && part.toMs >= startMs,
      );
      for (const part of parts) {
        const wanted = { ...filter, fromMs: startMs, toMs: endMs };
        for (const row of await this.#parts.rows(file, part, wanted)) takeRow(rows, row, merge);
      }
    }
    return rows;
  }
}

const lengthMs: Readonly<Record<SummaryInterval, number>> = {
  PT1M: windowMs,
  PT15M: 900_000,
  PT1H: 3_600_000,
  P1D: 86_400_000,
};

interface Run extends TimeWindow {
  readonly finer: SummaryInterval;
  readonly windows: TimeWindow[];
}

/** Windows that touch each other are read at once. */
function runsOf(interval: CoarseInterval, windows: readonly TimeWindow[]): Run[] {
  const runs: Run[] = [];
  for (const window of windows) {
    const finer = finerOf(interval, window);
    const last = runs.at(-1);
    if (last && last.endMs === window.startMs && last.finer === finer)
      runs[runs.length - 1] = { ...last, endMs: window.endMs, windows: [...last.windows, window] };
    else runs.push({ finer, ...window, windows: [window] });
  }
  return runs;
}

function tailOf({ tail, filter, building }: WindowQuery): Tail {
  const own = tail.filter((record) => record.building === building);
  const asked = own.filter(
    ({ level, id }) =>
      (filter.level === undefined || level === filter.level) &&
      (filter.id === undefined || id === filter.id),
  );
  return {
    rows: asked
      .flatMap(rowsOfRecord)
      .filter(({ metric }) => filter.metric === undefined || metric === filter.metric),
    minutes: [...new Set(asked.map(({ windowStartMs }) => windowStartMs))],
    closedMs: own.filter(closesBuilding).reduce((end, record) => {
      return Math.max(end, record.windowStartMs + windowMs);
    }, -Infinity),
  };
}
