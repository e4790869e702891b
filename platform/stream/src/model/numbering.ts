/**
 * Which numbers of a device were taken in: what tells a repeat from a new reading. Bounded; what falls outside is never
 * guessed but judged `too-old-to-deduplicate` (docs/api/mqtt.md). Only taken readings change it, in the order in which they
 * stand in `readings`, so it can be folded again from there.
 */
export const bootsPerDeviceMax = 64;
export const rangesPerBootMax = 256;
/** A numbered reading that was measured longer before its receipt is not taken in. */
export const numberingHorizonMs = 40 * 86_400_000;

export type NumberVerdict = 'new' | 'duplicate' | 'sequence-reused' | 'too-old-to-deduplicate';

/** Numbers without a gap and the earliest and latest time that was measured under them. */
interface TakenRange {
  first: number;
  last: number;
  fromMs: number;
  toMs: number;
}

interface BootNumbers {
  /** Numbers below were forgotten. */
  knownFrom: number;
  /** Of its newest reading. */
  newestMs: number;
  readonly ranges: TakenRange[];
}

export interface NumberedReading {
  readonly boot: string;
  readonly seq: number;
  readonly measuredAtMs: number;
  /** A gateway or the cell stamped it, so a repeat has another time. */
  readonly isStamped: boolean;
}

export class DeviceNumbers {
  /** Boots whose newest reading is not after it may have been forgotten. */
  #forgottenToMs = -Infinity;
  readonly #boots = new Map<string, BootNumbers>();

  judge({ boot, seq, measuredAtMs, isStamped }: NumberedReading): NumberVerdict {
    const numbers = this.#boots.get(boot);
    if (numbers === undefined)
      return measuredAtMs <= this.#forgottenToMs ? 'too-old-to-deduplicate' : 'new';
    if (seq < numbers.knownFrom) return 'too-old-to-deduplicate';
    const range = numbers.ranges[indexOf(numbers.ranges, seq)];
    if (range === undefined || seq < range.first) return 'new';
    const isSame = isStamped || (measuredAtMs >= range.fromMs && measuredAtMs <= range.toMs);
    return isSame ? 'duplicate' : 'sequence-reused';
  }

  /** Notes a number that was judged new. */
  take(boot: string, seq: number, measuredAtMs: number): void {
    let numbers = this.#boots.get(boot);
    if (numbers === undefined) {
      numbers = { knownFrom: 0, newestMs: measuredAtMs, ranges: [] };
      this.#boots.set(boot, numbers);
      if (this.#boots.size > bootsPerDeviceMax) this.#forgetOldestBoot();
    } else if (measuredAtMs > numbers.newestMs) numbers.newestMs = measuredAtMs;
    insert(numbers.ranges, seq, measuredAtMs);
    if (numbers.ranges.length > rangesPerBootMax)
      numbers.knownFrom = (numbers.ranges.shift()?.last ?? 0) + 1;
  }

  /** Plain values, for a snapshot: the forgotten time, then boot by boot. */
  encode(): EncodedNumbers {
    const boots = [...this.#boots].map(([boot, { knownFrom, newestMs, ranges }]): EncodedBoot => [
      boot,
      knownFrom,
      newestMs,
      ranges.flatMap(({ first, last, fromMs, toMs }) => [first, last, fromMs, toMs]),
    ]);
    return [this.#forgottenToMs === -Infinity ? null : this.#forgottenToMs, boots];
  }

  static decode([forgottenToMs, boots]: EncodedNumbers): DeviceNumbers {
    const numbers = new DeviceNumbers();
    numbers.#forgottenToMs = forgottenToMs ?? -Infinity;
    for (const [boot, knownFrom, newestMs, flat] of boots) {
      const ranges: TakenRange[] = [];
      for (let at = 0; at < flat.length; at += 4) {
        const [first = 0, last = 0, fromMs = 0, toMs = 0] = flat.slice(at, at + 4);
        ranges.push({ first, last, fromMs, toMs });
      }
      numbers.#boots.set(boot, { knownFrom, newestMs, ranges });
    }
    return numbers;
  }

  #forgetOldestBoot(): void {
    let oldest: string | undefined;
    let oldestMs = Infinity;
    for (const [boot, { newestMs }] of this.#boots) {
      if (newestMs >= oldestMs) continue;
      oldest = boot;
      oldestMs = newestMs;
    }
    if (oldest === undefined) return;
    this.#boots.delete(oldest);
    this.#forgottenToMs = Math.max(this.#forgottenToMs, oldestMs);
  }
}

type EncodedBoot = readonly [
  boot: string,
  knownFrom: number,
  newestMs: number,
  ranges: readonly number[],
];
export type EncodedNumbers = readonly [forgottenToMs: number | null, boots: readonly EncodedBoot[]];

/** Of the first range that does not end before `seq`; the length when all do. */
function indexOf(ranges: readonly TakenRange[], seq: number): number {
  let low = 0;
  let high = ranges.length;
  if (high > 0 && (ranges[high - 1]?.last ?? 0) < seq) return high;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((ranges[middle]?.last ?? 0) < seq) low = middle + 1;
    else high = middle;
  }
  return low;
}

function insert(ranges: TakenRange[], seq: number, measuredAtMs: number): void {
  const index = indexOf(ranges, seq);
  const before = ranges[index - 1];
  const after = ranges[index];
  if (before?.last === seq - 1) {
    widen(before, measuredAtMs);
    before.last = seq;
    if (after?.first !== seq + 1) return;
    before.last = after.last;
    widen(before, after.fromMs);
    widen(before, after.toMs);
    ranges.splice(index, 1);
  } else if (after?.first === seq + 1) {
    widen(after, measuredAtMs);
    after.first = seq;
  } else {
    const range = { first: seq, last: seq, fromMs: measuredAtMs, toMs: measuredAtMs };
    ranges.splice(index, 0, range);
  }
}

function widen(range: TakenRange, measuredAtMs: number): void {
  if (measuredAtMs < range.fromMs) range.fromMs = measuredAtMs;
  if (measuredAtMs > range.toMs) range.toMs = measuredAtMs;
}
