import type { CorrelationRow } from '@domicile/core/answers/analysis.ts';
import type { Level } from '@domicile/core/summary.ts';
import { Bivariate } from './bivariate.ts';

interface Average {
  readonly windowStartMs: number;
  readonly id: string;
  readonly avg: number;
}

/** Joins the averages of two metrics by window and id, one stretch of time after the other. */
export class Correlation {
  readonly #byId = new Map<string, Bivariate>();

  /** Both sides of the same stretch. */
  add(xs: Iterable<Average>, ys: Iterable<Average>): void {
    const known = new Map<string, number>();
    for (const { windowStartMs, id, avg } of xs) known.set(`${windowStartMs} ${id}`, avg);
    for (const { windowStartMs, id, avg } of ys) {
      const x = known.get(`${windowStartMs} ${id}`);
      if (x === undefined) continue;
      const pairs = this.#byId.get(id) ?? new Bivariate();
      this.#byId.set(id, pairs);
      pairs.add(x, avg);
    }
  }

  rows(of: { building: string; level: Level; x: string; y: string }): CorrelationRow[] {
    const { building, level, x, y } = of;
    return [...this.#byId].map(([id, pairs]) => ({
      building,
      level,
      id,
      x,
      y,
      windows: pairs.count,
      correlation: pairs.correlation,
      slope: pairs.line?.slope ?? null,
      intercept: pairs.line?.intercept ?? null,
    }));
  }
}
