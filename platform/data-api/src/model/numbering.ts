import { type AccountEntry, accountWindowMs, type NumberRange } from '@domicile/core/account.ts';
import type { AccountRow } from '@domicile/core/answers/serving.ts';
import type { Period } from './period.ts';

/** What one numbering contributes to a period. */
export interface NumberingInPeriod {
  readonly received: number;
  readonly quarantined: number;
  readonly duplicates: number;
  readonly missing: readonly NumberRange[];
  /** Null if no number of it belongs to the period. */
  readonly first: number | null;
  readonly last: number | null;
  readonly complete: boolean;
}

type Fate = 'received' | 'quarantined';

/** Numbers without a gap, of one fate: so many a minute, minute after minute, in the order of both. */
interface Run {
  readonly first: number;
  readonly last: number;
  /** Since 1970, in which its first numbers were measured. */
  readonly minute: number;
  readonly minutes: number;
  readonly perMinute: number;
  readonly fate: Fate;
}

/**
 * One numbering of one device, from 0 up, as the account records add up. Runs are kept in columns in the order of their
 * numbers. A device that speaks evenly is a few of them, however long it speaks: `#condense` joins minutes of equal count.
 */
export class Numbering {
  readonly #firsts: number[] = [];
  readonly #lasts: number[] = [];
  /** The minute since 1970, times two, plus one if quarantined. */
  readonly #marks: number[] = [];
  readonly #minutes: number[] = [];
  readonly #duplicates = new Map<number, number>();
  #condenseAt = runsBeforeCondensing;
  #next = 0;
  #closed = false;
  #reportedMinute = 0;

  /** How many runs it is kept in. */
  get runs(): number {
    return this.#firsts.length;
  }

  take(entry: AccountEntry): void {
    const minute = Math.floor(entry.windowStartMs / accountWindowMs);
    for (const range of entry.received) this.#add(range, minute, 'received');
    for (const range of entry.quarantined) this.#add(range, minute, 'quarantined');
    if (entry.duplicates > 0)
      this.#duplicates.set(minute, (this.#duplicates.get(minute) ?? 0) + entry.duplicates);
    if (this.#firsts.length >= this.#condenseAt) this.#condense();
    if (!entry.reported) return;
    this.#next = Math.max(this.#next, entry.reported.next);
    this.#closed ||= entry.reported.closed;
    this.#reportedMinute = minute;
  }

  /**
   * What of it belongs to a period of event time. A missing number has no time of its own: it belongs where the next
   * number that was taken in belongs, or else the last one before.
   */
  within({ fromMs, toMs }: Period): NumberingInPeriod {
    const fromMinute = Math.floor(fromMs / accountWindowMs);
    const toMinute = Math.ceil(toMs / accountWindowMs);
    const isWithin = (at: number) => at >= fromMinute && at < toMinute;
    const counts = { received: 0, quarantined: 0 };
    const missing: NumberRange[] = [];
    const bounds: number[] = [];
    let due = 0;
    let minute = this.#reportedMinute;
    for (const run of this.#runs()) {
      if (isWithin(run.minute) && run.first > due) {
        missing.push([due, run.first - 1]);
        bounds.push(due);
      }
      const from = Math.max(0, fromMinute - run.minute);
      const to = Math.min(run.minutes, toMinute - run.minute);
      if (from < to) {
        counts[run.fate] += (to - from) * run.perMinute;
        bounds.push(run.first + from * run.perMinute, run.first + to * run.perMinute - 1);
      }
      due = run.last + 1;
      minute = run.minute + run.minutes - 1;
    }
    if (this.#next > due && isWithin(minute)) {
      missing.push([due, this.#next - 1]);
      bounds.push(due, this.#next - 1);
    }
    let duplicates = 0;
    for (const [at, count] of this.#duplicates) if (isWithin(at)) duplicates += count;
    const last = bounds.at(-1) ?? null;
    const complete = this.#closed || (last !== null && this.#next > last);
    return { ...counts, duplicates, missing, first: bounds[0] ?? null, last, complete };
  }

  *#runs(): Generator<Run> {
    for (const index of this.#firsts.keys()) yield this.#run(index);
  }

  #run(index: number): Run {
    const first = this.#firsts[index] ?? 0;
    const last = this.#lasts[index] ?? 0;
    const mark = this.#marks[index] ?? 0;
    const minutes = this.#minutes[index] ?? 1;
    const fate = mark % 2 === 1 ? 'quarantined' : 'received';
    const perMinute = (last - first + 1) / minutes;
    return { first, last, minute: Math.floor(mark / 2), minutes, perMinute, fate };
  }

  /** Joins runs of equal count in minutes that follow each other. */
  #condense(): void {
    let kept = 0;
    for (let index = 1; index < this.#firsts.length; index += 1) {
      const [before, run] = [this.#run(kept), this.#run(index)];
      if (follows(before, run)) {
        this.#lasts[kept] = run.last;
        this.#minutes[kept] = before.minutes + run.minutes;
      } else {
        kept += 1;
        this.#firsts[kept] = run.first;
        this.#lasts[kept] = run.last;
        this.#marks[kept] = this.#marks[index] ?? 0;
        this.#minutes[kept] = run.minutes;
      }
    }
    for (const column of [this.#firsts, this.#lasts, this.#marks, this.#minutes])
      column.length = Math.min(column.length, kept + 1);
    this.#condenseAt = Math.max(runsBeforeCondensing, 2 * this.#firsts.length);
  }

  /** The numbers of a range that are not there yet; what was taken in first stays. */
  #add([first, last]: NumberRange, minute: number, fate: Fate): void {
    const mark = minute * 2 + (fate === 'quarantined' ? 1 : 0);
    let at = this.#indexAfter(first);
    let from = Math.max(first, (this.#lasts[at - 1] ?? -1) + 1);
    while (from <= last) {
      const following = this.#firsts[at] ?? Infinity;
      if (from < following) {
        const to = Math.min(last, following - 1);
        at += this.#insert(at, { first: from, last: to, mark });
        from = to + 1;
      } else {
        from = (this.#lasts[at] ?? from) + 1;
        at += 1;
      }
    }
  }

  /** Answers with how many runs were added: none if the numbers joined the run before. */
  #insert(at: number, run: { first: number; last: number; mark: number }): number {
    const isOneMinute = this.#minutes[at - 1] === 1;
    if (isOneMinute && this.#marks[at - 1] === run.mark && this.#lasts[at - 1] === run.first - 1) {
      this.#lasts[at - 1] = run.last;
      return 0;
    }
    this.#firsts.splice(at, 0, run.first);
    this.#lasts.splice(at, 0, run.last);
    this.#marks.splice(at, 0, run.mark);
    this.#minutes.splice(at, 0, 1);
    return 1;
  }

  /** The index of the first run that begins after a number. */
  #indexAfter(number: number): number {
    let low = 0;
    let high = this.#firsts.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#firsts[middle] ?? Infinity) <= number) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

const runsBeforeCondensing = 64;

function follows(before: Run, run: Run): boolean {
  return (
    before.fate === run.fate &&
    before.last + 1 === run.first &&
    before.perMinute === run.perMinute &&
    before.minute + before.minutes === run.minute
  );
}

export function accountRowOf(
  device: string,
  boot: string,
  of: NumberingInPeriod,
): AccountRow | undefined {
  const { first, last, received, duplicates, missing, complete } = of;
  if (first === null || last === null) return undefined;
  const ranges = missing.map(([from, to]): [number, number] => [from, to]);
  return { device, boot, first, last, received, duplicates, missing: ranges, complete };
}
