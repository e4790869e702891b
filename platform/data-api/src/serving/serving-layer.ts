import type { LandedCounts } from '@domicile/lake/landed-counts.ts';
import type { SummarySnapshot } from '@domicile/lake/serving-summaries.ts';

/** What the serving API reads of the lake: the serving layer and nothing else. */
export interface ServingLayer {
  readonly current: SummarySnapshot;
  /** True if there is a newer snapshot. */
  refresh(): Promise<boolean>;
  landed(of: { building: string; fromMs: number; toMs: number }): Promise<LandedCounts>;
}
