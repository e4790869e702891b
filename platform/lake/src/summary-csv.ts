import { levels } from '@domicile/core/summary.ts';
import type { SummaryManifest } from './model/summary-manifest.ts';
import { figuresOfStored, type StoredRow } from './model/summary-row.ts';
import { type SummaryInterval, windowAt } from './model/summary-windows.ts';
import type { SummaryReader } from './summary-reader.ts';

const header =
  'building,level,id,metric,unit,window_start,window_end,count,sum,avg,min,max,stddev,p50,p95,revision,final\n';

/** `latest.csv`: of each building the newest closed window of the building, its floors and its rooms. */
export class LatestCsv {
  readonly #lines = new Map<string, { startMs: number; text: string }>();

  async render(
    interval: SummaryInterval,
    of: {
      readonly manifest: SummaryManifest;
      readonly reader: SummaryReader;
      /** What begins before is over. */
      readonly keptSinceMs: number;
    },
  ): Promise<string> {
    const { manifest, reader, keptSinceMs } = of;
    let text = header;
    for (const [building, { closedMs, zone }] of Object.entries(manifest.buildings)) {
      if (closedMs === null || (interval === 'P1D' && zone === null)) continue;
      const asked = { interval, building, closedMs, zone: zone ?? 'UTC', reader, keptSinceMs };
      text += await this.#linesOf(asked);
    }
    return text;
  }

  async #linesOf(of: {
    interval: SummaryInterval;
    building: string;
    closedMs: number;
    zone: string;
    reader: SummaryReader;
    keptSinceMs: number;
  }): Promise<string> {
    const { interval, building, closedMs, zone, reader, keptSinceMs } = of;
    const current = windowAt(interval, closedMs, zone).startMs;
    const window = windowAt(interval, current - 1, zone);
    if (window.startMs < keptSinceMs) return '';
    const key = `${interval} ${building}`;
    const present = this.#lines.get(key);
    if (present?.startMs === window.startMs) return present.text;
    const query = { interval, building, ...window, zone, tail: [] };
    let text = '';
    for (const level of levels) {
      if (level === 'device') continue;
      for (const row of await reader.read({ ...query, filter: { level } })) text += lineOf(row);
    }
    this.#lines.set(key, { startMs: window.startMs, text });
    return text;
  }
}

function lineOf(row: StoredRow): string {
  const { count, sum, avg, min, max, stddev, p50, p95 } = figuresOfStored(row);
  const cells = [
    row.building,
    row.level,
    row.id,
    row.metric,
    row.unit,
    new Date(row.windowStartMs).toISOString(),
    new Date(row.windowEndMs).toISOString(),
    count,
    sum,
    avg,
    min,
    max,
    stddev,
    p50,
    p95,
    row.revision,
    row.final,
  ];
  return `${cells.map(csvCell).join(',')}\n`;
}

function csvCell(value: string | number | boolean): string {
  const text = `${value}`;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
