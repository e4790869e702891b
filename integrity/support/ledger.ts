import type { Fleet } from './fleet.ts';
import { queryLanding } from './independent-lake.ts';

export interface Verdict {
  readonly acked: number;
  readonly missing: number;
  readonly twice: number;
}

/** What devices were acked, against what an independent reader finds in the landing zone. */
export async function judgeLedger(fleet: Fleet, lakeDir: string): Promise<Verdict> {
  const rows = await queryLanding(
    lakeDir,
    `select device || ' ' || seq as reading, count(*)::int as times from {files} where boot = '${fleet.order.boot}' group by all`,
  );
  const found = new Map(rows.map(({ reading, times }) => [String(reading), Number(times)]));
  const acked = new Set(fleet.acked());
  return {
    acked: acked.size,
    missing: [...acked].filter((reading) => !found.has(reading)).length,
    twice: [...found.values()].filter((times) => times !== 1).length,
  };
}
