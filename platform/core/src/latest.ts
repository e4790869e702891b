import type { MetricValue } from './telemetry.ts';

/** A point's newest value by event time; ties go to the higher offset in `readings`. */
export interface LatestPoint {
  readonly value: MetricValue;
  readonly unit: string;
  readonly measuredAtMs: number;
  readonly receivedAtMs: number;
  /** Where its reading stands in `readings`. */
  readonly offset: number;
}

/** A record of the compacted stream `latest`, keyed `{building}/{device}`. */
export interface LatestRecord {
  readonly building: string;
  readonly device: string;
  readonly floor: string;
  readonly room: string;
  readonly points: Readonly<Record<string, LatestPoint>>;
}

/** Whether `candidate` takes the place of `present`. */
export function isNewer(candidate: LatestPoint, present: LatestPoint | undefined): boolean {
  if (present === undefined) return true;
  if (candidate.measuredAtMs !== present.measuredAtMs)
    return candidate.measuredAtMs > present.measuredAtMs;
  return candidate.offset > present.offset;
}
