import { fail } from 'node:assert/strict';
import type { SummaryRecord } from '@domicile/core/summary.ts';
import { expect, test } from 'vitest';
import { MemoryObjectStore } from './memory-object-store.ts';
import { summariesKeptSinceMs } from './model/summary-retention.ts';
import { summaryIntervals } from './model/summary-windows.ts';
import { figuresOfRow, SummarySnapshots } from './serving-summaries.ts';
import { SummaryWriter } from './summary-writer.ts';
import { flushTail, tailOf, windowWith } from './test-minutes.ts';

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;
const startMs = Date.UTC(2026, 0, 1);
const retentionDays = 3;
const building = 'de-a';
const zones = new Map([[building, 'UTC']]);

function windowOf(windowStartMs: number, of: Partial<SummaryRecord> = {}): SummaryRecord {
  return windowWith(1, { building, windowStartMs, ...of });
}

const flush = (writer: SummaryWriter, records: readonly SummaryRecord[]) =>
  flushTail(writer, tailOf(writer, records), zones);

/** A store whose rule takes files so many days after they were made, and the time by which all go. */
function storeWithRule() {
  const store = new MemoryObjectStore();
  const madeAt = new Map<string, number>();
  const at = { nowMs: startMs };
  const carryOut = async (): Promise<number> => {
    let removed = 0;
    for (const interval of summaryIntervals) {
      const folder = `serving/summaries/${interval.toLowerCase()}/v1/data/`;
      for (const key of await store.list(folder, { limit: 1e6 })) {
        const madeMs = madeAt.get(key) ?? at.nowMs;
        madeAt.set(key, madeMs);
        if (at.nowMs < madeMs + retentionDays * dayMs) continue;
        store.harm(key);
        removed += 1;
      }
    }
    return removed;
  };
  return { store, at, carryOut, now: () => at.nowMs };
}

/** How many values each interval has over all time, and the days that it begins and ends with. */
async function countsOf(snapshots: SummarySnapshots) {
  const counts: Record<string, number> = {};
  for (const interval of summaryIntervals) {
    const { rows, nextFromMs } = await snapshots.current.read({
      interval,
      building,
      fromMs: startMs - 40 * dayMs,
      toMs: startMs + 40 * dayMs,
    });
    if (nextFromMs !== null) fail('more than one page');
    counts[interval] = rows.reduce((sum, row) => sum + figuresOfRow(row).count, 0);
  }
  return counts;
}

test('days go from their beginning on, as no rule is earlier', () => {
  const since = (nowMs: number) => summariesKeptSinceMs(3, nowMs) - startMs;
  expect(since(startMs + 3 * dayMs)).toBe(0);
  expect(since(startMs + 3 * dayMs + 1)).toBe(dayMs);
  expect(summariesKeptSinceMs(undefined, startMs)).toBe(-Infinity);
});

test('what the rule takes is named no more: all that is kept is answered, at every interval, and snapshots do not grow', async () => {
  const { store, at, carryOut, now } = storeWithRule();
  const writer = await SummaryWriter.open(store, { retentionDays, now });
  const slow = await SummarySnapshots.open(store, now);
  let [removed, expired, most] = [0, 0, 0];
  const stepMs = 3 * hourMs;
  for (let step = 0; step < 7 * 8; step += 1) {
    at.nowMs = startMs + (step + 1) * stepMs;
    const minutes = [1, 2, 3].map((hours) => windowOf(at.nowMs - hours * hourMs));
    // Now and then something comes late: of the day before, and of one that is over.
    const late = { kind: 'partial', revision: 0, offset: step } as const;
    const isLate = (of: number): boolean => of % 7 === 3 && of > 8;
    if (isLate(step)) minutes.push(windowOf(at.nowMs - dayMs, late));
    if (step % 5 === 4) minutes.push(windowOf(at.nowMs - 5 * dayMs, late));
    const report = await flush(writer, minutes);
    expired += report.expiredParts;
    removed += await carryOut();
    most = Math.max(most, JSON.stringify(writer.published).length);

    if (step % 5 !== 0) continue;
    const sinceMs = Math.max(startMs, summariesKeptSinceMs(retentionDays, at.nowMs));
    let wanted = (at.nowMs - sinceMs) / hourMs;
    for (let past = 0; past <= step; past += 1)
      if (isLate(past) && startMs + (past + 1) * stepMs - dayMs >= sinceMs) wanted += 1;
    const all = Object.fromEntries(summaryIntervals.map((interval) => [interval, wanted]));
    expect([step, await countsOf(await SummarySnapshots.open(store, now))]).toEqual([step, all]);
    // Who follows seldom holds a snapshot that still names what has gone.
    if (step % 20 === 0) await slow.refresh();
    await expect(countsOf(slow)).resolves.toBeDefined();
  }
  expect([removed > 20, expired > 5]).toEqual([true, true]);
  const { files } = writer.published;
  const days = files.PT1M.flatMap(({ parts }) => parts.map(({ dayMs: day }) => day));
  expect(new Set(days)).toEqual(new Set([4, 5, 6].map((day) => startMs + day * dayMs)));
  expect(JSON.stringify(writer.published).length).toBeLessThanOrEqual(most);
  expect(most).toBeLessThan(20_000);
});

test('while its builder stands still, what is over is passed over, whether or not it is gone', async () => {
  const { store, at, carryOut, now } = storeWithRule();
  const writer = await SummaryWriter.open(store, { retentionDays, now });
  for (let day = 0; day < 3; day += 1) {
    at.nowMs = startMs + (day + 1) * dayMs;
    await flush(writer, [windowOf(at.nowMs - hourMs), windowOf(at.nowMs - 2 * hourMs)]);
    await carryOut();
  }
  const snapshots = await SummarySnapshots.open(store, now);
  for (const [days, left] of [
    [3.1, 4],
    [4.5, 2],
    [5.5, 0],
    [9, 0],
  ] as const) {
    at.nowMs = startMs + days * dayMs;
    const all = Object.fromEntries(summaryIntervals.map((interval) => [interval, left]));
    expect(await countsOf(snapshots)).toEqual(all);
    await carryOut();
    expect(await countsOf(snapshots)).toEqual(all);
  }
  // It comes back, and nothing that is over is in its way.
  const next = await SummaryWriter.open(store, { retentionDays, now });
  expect((await flush(next, [windowOf(at.nowMs - hourMs)])).expiredParts).toBeGreaterThan(0);
  await snapshots.refresh();
  expect(await countsOf(snapshots)).toMatchObject({ PT1M: 1, PT15M: 1 });
});
