import type { MetricValue } from './telemetry.ts';

/** Whose clock said when it was measured. */
export type TimeSource = 'device' | 'gateway' | 'cell';

/**
 * A record of the `readings` stream: one clean, unique reading, joined with where its device stood when it was measured.
 * Key: the building. The record's timestamp is the receipt.
 */
export interface Reading {
  readonly building: string;
  readonly floor: string;
  readonly room: string;
  readonly device: string;
  readonly client: string;
  readonly type: string;
  /** Both null when unnumbered. */
  readonly boot: string | null;
  readonly seq: number | null;
  /** Unix milliseconds. */
  readonly measuredAtMs: number;
  readonly receivedAtMs: number;
  readonly timeSource: TimeSource;
  readonly values: Readonly<Record<string, MetricValue>>;
  /** UCUM code of each value, as its device type said then. */
  readonly units: Readonly<Record<string, string>>;
}

/** Booleans are aggregated and landed as 0 and 1; text is not aggregated. */
export function numericValue(value: MetricValue): number | null {
  if (typeof value === 'boolean') return value ? 1 : 0;
  return typeof value === 'number' ? value : null;
}
