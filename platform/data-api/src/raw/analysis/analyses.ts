import type {
  ComparisonRow,
  CorrelationRow,
  LoadProfileRow,
} from '@domicile/core/answers/analysis.ts';
import type { Interval } from '@domicile/core/answers/serving.ts';
import type { BuildingRecord } from '@domicile/core/building.ts';
import type { Level } from '@domicile/core/summary.ts';
import { figuresOfRow } from '@domicile/lake/serving-summaries.ts';
import { comparisonRows } from '../../model/analysis/comparison.ts';
import { Correlation } from '../../model/analysis/correlation.ts';
import { localHours } from '../../model/analysis/local-hour.ts';
import { MergedFigures } from '../../model/analysis/merged-figures.ts';
import { dayMs, type Period } from '../../model/period.ts';
import { eachRow, type SummaryQuestion, type SummarySource } from './summary-source.ts';

export interface Scope extends Period {
  readonly source: SummarySource;
  readonly buildings: readonly BuildingRecord[];
  readonly signal: AbortSignal;
}

/** Both metrics are joined stretch by stretch, so that no more than a stretch of either is held. */
const stretchMs = 7 * dayMs;

export async function correlate(
  scope: Scope,
  of: { x: string; y: string; interval: Interval; level: Level },
): Promise<CorrelationRow[]> {
  const { x, y, interval, level } = of;
  const rows: CorrelationRow[] = [];
  for (const building of scope.buildings) {
    const correlation = new Correlation();
    for (let fromMs = scope.fromMs; fromMs < scope.toMs; fromMs += stretchMs) {
      const toMs = Math.min(scope.toMs, fromMs + stretchMs);
      const stretch = { ...scope, building, interval, level, fromMs, toMs };
      const xs = await averagesOf(scope.source, { ...stretch, metric: x });
      correlation.add(xs, await averagesOf(scope.source, { ...stretch, metric: y }));
    }
    rows.push(...correlation.rows({ building: building.id, level, x, y }));
  }
  return rows;
}

async function averagesOf(source: SummarySource, question: SummaryQuestion) {
  const averages: { windowStartMs: number; id: string; avg: number }[] = [];
  await eachRow(source, question, (row) => {
    averages.push({ windowStartMs: row.windowStartMs, id: row.id, avg: figuresOfRow(row).avg });
  });
  return averages;
}

export async function profileLoad(
  scope: Scope,
  of: { metrics: readonly string[]; level: Level; ids: readonly string[] | undefined },
): Promise<LoadProfileRow[]> {
  const { metrics, level, ids } = of;
  const rows: LoadProfileRow[] = [];
  for (const { building, metric } of pairsOf(scope.buildings, metrics)) {
    const hourOf = localHours(building.timeZone, building.country);
    const merged = new MergedFigures<Pick<LoadProfileRow, 'id' | 'dayType' | 'hour'>>();
    const question = { ...scope, building, interval: 'PT15M', level, metric } as const;
    await eachRow(scope.source, question, (row) => {
      if (ids?.includes(row.id) ?? true)
        merged.add({ id: row.id, ...hourOf(row.windowStartMs) }, row);
    });
    for (const { key, unit, figures } of merged.groups())
      rows.push({ building: building.id, level, metric, unit, ...key, ...figures });
  }
  return rows;
}

export async function compareBuildings(
  scope: Scope,
  metrics: readonly string[],
): Promise<ComparisonRow[]> {
  const merged = new MergedFigures<Pick<ComparisonRow, 'metric' | 'building' | 'name'>>();
  for (const { building, metric } of pairsOf(scope.buildings, metrics)) {
    const question = { ...scope, building, interval: 'PT1H', level: 'building', metric } as const;
    const key = { metric, building: building.id, name: building.name };
    await eachRow(scope.source, question, (row) => merged.add(key, row));
  }
  return comparisonRows(merged.groups());
}

function pairsOf(buildings: readonly BuildingRecord[], metrics: readonly string[]) {
  return buildings.flatMap((building) => metrics.map((metric) => ({ building, metric })));
}
