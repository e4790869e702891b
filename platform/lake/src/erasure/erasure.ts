import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { landedStreams } from '../model/landing-key.ts';
import type { ErasableStore } from '../object-store.ts';
import { accountKind, eraseAccount, retireAccount } from './account-erasure.ts';
import { type BuildingExport, exportBuilding, exportSoFar } from './building-export.ts';
import { addErasure, type ErasureRun, noErasure } from './erasure-run.ts';
import { ErasureTally } from './erasure-tally.ts';
import { eraseLanding } from './landing-erasure.ts';
import { eraseSummaries, retireSummaries, summariesKind } from './summary-erasure.ts';

/** The steps of taking a building's data out; `verify` is a second `erase`, after all that was on its way has landed. */
export const erasurePasses = ['export', 'erase', 'verify'] as const;
export type ErasurePass = (typeof erasurePasses)[number];

const count = z.number().int().min(0);
const counts = z.object({ objects: count, rows: count, readings: count, missing: count });

const reportSchema = z.object({
  version: z.literal(1),
  building: z.string(),
  /** Of the resource that was deleted: another erasure of the same building has another one. */
  id: z.string(),
  pass: z.enum(erasurePasses),
  /** RFC 3339. */
  startedAt: z.string(),
  finishedAt: z.string(),
  /**
   * By what it was done to: `landing/readings`, `landing/quarantine`, `serving/summaries`, `serving/account`, and what the caller does
   * beside the store. All processes of the pass together.
   */
  counts: z.record(z.string(), counts),
  /** For how long the store could bring back what was taken away then; absent in reports of before it was said. */
  softDeleteDays: count.optional(),
  export: z.object({ folder: z.string(), files: count, rows: count, missing: count }).optional(),
});

/** What a pass has done; it stands in the landing bucket. */
export type ErasureReport = z.output<typeof reportSchema>;

export interface PassOptions {
  /** Until nobody reads a snapshot any more that is not the newest. */
  readonly graceMs: number;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** As the store is set while the pass runs: what it takes away stays as long, whatever is set later. */
  readonly softDeleteDays?: number;
  /** Done first, of `erase` and `verify`: what is erased elsewhere, noted before it is. */
  readonly elsewhere?: (tally: ErasureTally) => Promise<void>;
}

export function erasureFolder(building: string, id: string): string {
  return `erasures/${building}/${id}/`;
}

/** Does a pass and leaves its report; one that is there already is answered as it is. */
export async function runErasurePass(
  run: ErasureRun,
  pass: ErasurePass,
  { graceMs, now, softDeleteDays, elsewhere }: PassOptions,
): Promise<ErasureReport> {
  const { landing, building, id, signal } = run;
  const tally = new ErasureTally(landing, `${erasureFolder(building, id)}${pass}/`);
  const present = await readErasureReport(landing, { building, id, pass });
  if (present) {
    await tally.remove();
    return present;
  }
  const startedAt = timeOf(now());
  const made = pass === 'export' ? await exportBuilding(run) : undefined;
  if (!made) {
    await elsewhere?.(tally);
    await erase(run, tally, () => sleep(graceMs, undefined, { signal }));
  }
  const done = made ? {} : { ...noneOfOurs(), ...(await tally.sums()) };
  const exported = run.isExported
    ? { ...(await exportSoFar(run)), missing: made?.missing ?? 0 }
    : made && told(made);
  const report: ErasureReport = {
    version: 1,
    building,
    id,
    pass,
    startedAt,
    finishedAt: timeOf(now()),
    counts: done,
    ...(softDeleteDays !== undefined && { softDeleteDays }),
    ...(exported && { export: exported }),
  };
  const key = reportKey({ building, id, pass });
  await landing.createOnly(key, Buffer.from(JSON.stringify(report)));
  await tally.remove();
  return (await readErasureReport(landing, { building, id, pass })) ?? report;
}

/** Undefined while that pass is not done. */
export async function readErasureReport(
  landing: Pick<ErasableStore, 'get'>,
  of: { readonly building: string; readonly id: string; readonly pass: ErasurePass },
): Promise<ErasureReport | undefined> {
  const content = await landing.get(reportKey(of));
  return content && reportSchema.parse(JSON.parse(content.toString()));
}

function reportKey(of: { building: string; id: string; pass: ErasurePass }): string {
  return `${erasureFolder(of.building, of.id)}${of.pass}.json`;
}

async function erase(
  run: ErasureRun,
  tally: ErasureTally,
  grace: () => Promise<unknown>,
): Promise<void> {
  for (const stream of landedStreams) await eraseLanding(run, stream, tally);
  await eraseSummaries(run, tally);
  await eraseAccount(run, tally);
  await grace();
  await retireSummaries(run, tally);
  await retireAccount(run, tally);
}

/** What was looked for is told, though nothing was found. */
function noneOfOurs(): ErasureReport['counts'] {
  const kinds = [...landedStreams.map((stream) => `landing/${stream}`), summariesKind, accountKind];
  return Object.fromEntries(kinds.map((kind) => [kind, noErasure()]));
}

/** Of all passes of one building. */
export function sumOf(reports: readonly ErasureReport[]) {
  const sum = noErasure();
  for (const report of reports)
    for (const one of Object.values(report.counts)) addErasure(sum, one);
  return sum;
}

function told({ folder, files, rows, missing }: BuildingExport) {
  return { folder, files: files.length, rows, missing };
}

function timeOf(ms: number): string {
  return new Date(ms).toISOString();
}
