import {
  type Aggregate,
  emptyAggregate,
  type Figures,
  figuresOf,
  mergeEncodedInto,
} from '@domicile/core/aggregate.ts';
import type { SummaryRow } from '@domicile/lake/serving-summaries.ts';

/** Aggregates merged by key, exactly, in whatever order they come. */
export class MergedFigures<Key extends object> {
  readonly #groups = new Map<string, { key: Key; unit: string; aggregate: Aggregate }>();

  add(key: Key, { unit, base, late }: Pick<SummaryRow, 'unit' | 'base' | 'late'>): void {
    const text = JSON.stringify(key);
    const group = this.#groups.get(text) ?? { key, unit, aggregate: emptyAggregate() };
    this.#groups.set(text, group);
    for (const part of [base, late]) if (part) mergeEncodedInto(group.aggregate, part);
  }

  *groups(): Generator<{ key: Key; unit: string; figures: Omit<Figures, 'sum'> }> {
    for (const { key, unit, aggregate } of this.#groups.values()) {
      const { sum: _sum, ...figures } = figuresOf(aggregate);
      yield { key, unit, figures };
    }
  }
}
