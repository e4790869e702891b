import type { Figures } from '@domicile/core/aggregate.ts';
import type { ComparisonRow } from '@domicile/core/answers/analysis.ts';

interface Compared {
  readonly key: {
    readonly metric: string;
    readonly building: string;
    readonly name: string | null;
  };
  readonly unit: string;
  readonly figures: Omit<Figures, 'sum'>;
}

/** Ranks buildings metric by metric; a building that did not measure a metric has no row of it. */
export function comparisonRows(groups: Iterable<Compared>): ComparisonRow[] {
  const byMetric = Map.groupBy(groups, ({ key }) => key.metric);
  return [...byMetric].flatMap(([metric, of]) => {
    const mean = of.reduce((sum, { figures }) => sum + figures.avg, 0) / of.length;
    return of
      .toSorted((a, b) => b.figures.avg - a.figures.avg || compare(a.key.building, b.key.building))
      .map(({ key, unit, figures }, index) => ({
        metric,
        rank: index + 1,
        building: key.building,
        name: key.name,
        unit,
        ...figures,
        deviation: figures.avg - mean,
      }));
  });
}

function compare(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}
