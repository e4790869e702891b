import type { MetricType } from '@domicile/core/device-types.ts';
import type { QuarantineReason } from '@domicile/core/quarantine.ts';
import type { MetricValue } from '@domicile/core/telemetry.ts';

interface ValueFault {
  readonly reason: QuarantineReason;
  readonly detail: string;
}

/** Why a device of this type cannot have said this value; bounds belong to their range. */
export function valueFault(
  metrics: ReadonlyMap<string, MetricType>,
  metric: string,
  value: MetricValue,
): ValueFault | undefined {
  const type = metrics.get(metric);
  if (type === undefined) return unknownMetric;
  if (typeof value === 'number') {
    if (type.kind !== 'number') return otherKind;
    return value < type.min || value > type.max ? outOfRange : undefined;
  }
  return (typeof value === 'boolean' ? 'boolean' : 'text') === type.kind ? undefined : otherKind;
}

const unknownMetric: ValueFault = {
  reason: 'unknown-metric',
  detail: 'The device type has no such metric',
};
const otherKind: ValueFault = {
  reason: 'value-type-invalid',
  detail: 'The value is of another kind than its metric',
};
const outOfRange: ValueFault = {
  reason: 'out-of-range',
  detail: 'The value lies outside the range of its device type',
};
