import {
  addValue,
  type Aggregate,
  decodeAggregate,
  emptyAggregate,
  encodeAggregate,
  type EncodedAggregate,
} from '@domicile/core/aggregate.ts';

/** More values are kept as an aggregate: a device that speaks every 10 s says six in a window. */
export const sampleValuesMax = 32;

/** The values of one metric of one device in one window: as they are while they are few. */
export interface Sample {
  readonly unit: string;
  readonly values: number[];
  aggregate: Aggregate | undefined;
}

export type EncodedSample = readonly [
  unit: string,
  values: readonly number[],
  aggregate?: EncodedAggregate,
];

export function emptySample(unit: string): Sample {
  return { unit, values: [], aggregate: undefined };
}

export function addToSample(sample: Sample, value: number): void {
  const { aggregate, values } = sample;
  if (aggregate !== undefined) {
    addValue(aggregate, value);
    return;
  }
  values.push(value === 0 ? 0 : value); // JSON knows no -0
  if (values.length <= sampleValuesMax) return;
  sample.aggregate = aggregateOf(sample);
  values.length = 0;
}

export function aggregateOf({ aggregate, values }: Sample): Aggregate {
  if (aggregate !== undefined) return aggregate;
  const all = emptyAggregate();
  for (const value of values) addValue(all, value);
  return all;
}

export function encodeSample({ unit, values, aggregate }: Sample): EncodedSample {
  return aggregate === undefined ? [unit, values] : [unit, [], encodeAggregate(aggregate)];
}

export function decodeSample([unit, values, aggregate]: EncodedSample): Sample {
  return { unit, values: [...values], aggregate: aggregate && decodeAggregate(aggregate) };
}
