import type { DeviceType, MetricType } from '@domicile/core/device-types.ts';
import type { MetricValue } from '../value-rule.ts';
import { type SetPoints, defaultOf } from './device-values.ts';

/** A device's set points after a command, or why it does not take it. */
export function set(
  type: DeviceType,
  before: SetPoints,
  {
    wanted,
    atMs,
  }: { readonly wanted: Readonly<Record<string, MetricValue>>; readonly atMs: number },
): { readonly setPoints: SetPoints } | { readonly fault: string } {
  const entries = Object.entries(wanted);
  if (entries.length === 0) return { fault: 'the command sets nothing' };
  const after: Record<string, SetPoints[string]> = { ...before };
  for (const [metric, value] of entries) {
    const of = Object.hasOwn(type.metrics, metric) ? type.metrics[metric] : undefined;
    const fault = of ? faultOf(of, value) : 'is not measured here';
    if (!of || fault !== undefined) return { fault: `${metric} ${fault}` };
    const was = before[metric]?.value ?? defaultOf(metric, of);
    after[metric] = {
      value,
      sinceMs: atMs,
      ...(typeof was === 'number' && { before: was }),
    };
  }
  return { setPoints: after };
}

function faultOf({ settable, kind, min, max }: MetricType, value: MetricValue): string | undefined {
  if (!settable) return 'cannot be set';
  const wanted = kind === 'text' ? 'string' : kind;
  if (typeof value !== wanted) return `must be a ${kind}`;
  if (typeof value === 'number' && (value < min || value > max))
    return `must lie between ${min} and ${max}`;
  return undefined;
}
