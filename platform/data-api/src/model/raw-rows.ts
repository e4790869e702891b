import { numericValue, type Reading } from '@domicile/core/reading.ts';
import { z } from 'zod';

/** The columns of a landed value as they are queried: times in microseconds since 1970. */
export interface RawValue {
  readonly building: string;
  readonly floor: string;
  readonly room: string;
  readonly device: string;
  readonly metric: string;
  readonly unit: string;
  readonly measuredUs: bigint;
  readonly receivedUs: bigint;
  readonly value: number | null;
  readonly text: string | null;
  readonly boot: string | null;
  readonly seq: number | null;
  readonly timeSource: string;
  readonly partition: number;
  readonly offset: bigint;
}

export interface RawFilter {
  readonly fromMs: number;
  readonly toMs: number;
  readonly devices?: readonly string[] | undefined;
  readonly metrics?: readonly string[] | undefined;
}

/** The values of a reading that a filter lets through, as the landing zone would hold them. */
export function valuesOf(
  reading: Reading,
  at: { partition: number; offset: bigint },
  { fromMs, toMs, devices, metrics }: RawFilter,
): RawValue[] {
  const { measuredAtMs, device } = reading;
  if (measuredAtMs < fromMs || measuredAtMs >= toMs) return [];
  if (devices && !devices.includes(device)) return [];
  return Object.entries(reading.values)
    .filter(([metric]) => metrics?.includes(metric) ?? true)
    .map(([metric, value]) => ({
      building: reading.building,
      floor: reading.floor,
      room: reading.room,
      device,
      metric,
      unit: reading.units[metric] ?? '1',
      measuredUs: BigInt(measuredAtMs) * 1000n,
      receivedUs: BigInt(reading.receivedAtMs) * 1000n,
      value: numericValue(value),
      text: typeof value === 'string' ? value : null,
      boot: reading.boot,
      seq: reading.seq,
      timeSource: reading.timeSource,
      partition: at.partition,
      offset: at.offset,
    }));
}

/**
 * Where a value stands: by the time it was measured, then by where its reading stands in the stream, then by metric. It is
 * the same before and after landing, so a page never repeats or skips what moved between two looks.
 */
export const rawKey = z.tuple([
  z.string().regex(/^-?\d{1,18}$/),
  z.int().min(0),
  z.string().regex(/^\d{1,19}$/),
  z.string().regex(/^[a-z][a-z0-9_]{0,62}$/),
]);

export type RawKey = z.output<typeof rawKey>;

/** RFC 3339 with `Z`; with microseconds only where there are any. */
export function microsText(us: bigint): string {
  const ms = us / 1000n;
  const rest = us % 1000n;
  const text = new Date(Number(ms)).toISOString();
  return rest === 0n ? text : `${text.slice(0, -1)}${`${rest}`.padStart(3, '0')}Z`;
}
