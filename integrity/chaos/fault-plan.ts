/** What can go wrong, and for how long it then does. */
export const faultKinds = [
  'kill',
  'pause',
  'restart-kafka',
  'cut',
  'delay',
  'throttle',
  'half-open',
  'fill-store',
  'skew-clock',
  'rotate-certificates',
] as const;

export type FaultKind = (typeof faultKinds)[number];

export interface Fault {
  /** Milliseconds from the beginning. */
  readonly atMs: number;
  readonly kind: FaultKind;
  /** A process, a link or a gateway: one of `targets[kind]`. */
  readonly target: string;
  readonly forMs: number;
}

export interface FaultOrder {
  readonly seed: number;
  readonly forMs: number;
  /** Between the beginnings of two faults, at least and at most. */
  readonly everyMs: readonly [number, number];
  readonly targets: Readonly<Record<FaultKind, readonly string[]>>;
}

const lastingMs: Readonly<Record<FaultKind, readonly [number, number]>> = {
  kill: [0, 0],
  pause: [1_000, 9_000],
  'restart-kafka': [0, 0],
  cut: [1_000, 12_000],
  delay: [3_000, 12_000],
  throttle: [3_000, 12_000],
  'half-open': [2_000, 8_000],
  'fill-store': [0, 0],
  'skew-clock': [5_000, 20_000],
  'rotate-certificates': [0, 0],
};

/** A stream of numbers in [0, 1) from a seed: mulberry32. */
export function seededDice(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/**
 * The faults of a run, the same for the same seed. Kinds are dealt from a shuffled deck, so that each comes about as often
 * as the others; processes die twice as often.
 */
export function planFaults({ seed, forMs, everyMs, targets }: FaultOrder): readonly Fault[] {
  const dice = seededDice(seed);
  const between = ([low, high]: readonly [number, number]): number =>
    Math.round(low + dice() * (high - low));
  const faults: Fault[] = [];
  let deck: FaultKind[] = [];
  const turns = new Map<FaultKind, readonly string[]>();
  for (let atMs = between(everyMs); atMs < forMs; atMs += between(everyMs)) {
    if (deck.length === 0) deck = shuffled<FaultKind>(['kill', ...faultKinds], dice);
    const kind = deck.shift() ?? 'kill';
    const left = turns.get(kind) ?? [];
    const [target = '', ...later] = left.length > 0 ? left : shuffled(targets[kind], dice);
    turns.set(kind, later);
    faults.push({ atMs, kind, target, forMs: between(lastingMs[kind]) });
  }
  return faults;
}

function shuffled<Item>(items: readonly Item[], dice: () => number): Item[] {
  return items
    .map((item) => ({ item, at: dice() }))
    .toSorted((a, b) => a.at - b.at)
    .map(({ item }) => item);
}
