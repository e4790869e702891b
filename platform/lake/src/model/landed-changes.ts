import { minuteOfDay } from './landed-account.ts';
import type { ManifestFile } from './landing-plan.ts';

/** Minute of a UTC day → readings, or a change of them. */
export type Minutes = Map<number, number>;

export interface LandedDay {
  readonly landed: Minutes;
  readonly expired: Minutes;
}

export interface ChangedDay extends LandedDay {
  readonly building: string;
  readonly dayMs: number;
}

/** What the account of landed readings gains and loses, by building and day of measuring. */
export class LandedChanges {
  readonly #days = new Map<string, ChangedDay>();

  get size(): number {
    return this.#days.size;
  }

  land(file: ManifestFile): void {
    this.#each(file, ({ landed }, minute, readings) => addTo(landed, minute, readings));
  }

  lose(file: ManifestFile): void {
    this.#each(file, ({ landed }, minute, readings) => addTo(landed, minute, -readings));
  }

  /** Of a file that counted as landed until now. */
  expire(file: ManifestFile): void {
    this.lose(file);
    this.#each(file, ({ expired }, minute, readings) => addTo(expired, minute, readings));
  }

  days(): Iterable<ChangedDay> {
    return this.#days.values();
  }

  #each(
    { buildings }: ManifestFile,
    take: (day: LandedDay, minute: number, readings: number) => void,
  ): void {
    for (const { building, minutes } of buildings) {
      for (const [timeMs, readings] of minutes) {
        const [dayMs, minute] = minuteOfDay(timeMs);
        take(this.#dayOf(building, dayMs), minute, readings);
      }
    }
  }

  #dayOf(building: string, dayMs: number): LandedDay {
    const key = `${building} ${dayMs}`;
    const found = this.#days.get(key);
    if (found) return found;
    const day = { building, dayMs, landed: new Map(), expired: new Map() };
    this.#days.set(key, day);
    return day;
  }
}

/** What is left of `before` after a change; nothing is counted below zero. */
export function changed(before: Minutes, change: Minutes): Minutes {
  const after: Minutes = new Map(before);
  for (const [minute, readings] of change) {
    const sum = (after.get(minute) ?? 0) + readings;
    if (sum > 0) after.set(minute, sum);
    else after.delete(minute);
  }
  return after;
}

function addTo(minutes: Minutes, minute: number, readings: number): void {
  minutes.set(minute, (minutes.get(minute) ?? 0) + readings);
}
