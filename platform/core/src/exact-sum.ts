/**
 * Exact sums of doubles: an expansion of non-overlapping doubles, smallest first, whose sum is the exact value. Adding in
 * any order gives the same exact value, and `roundedSum` rounds it once.
 * Source: J. R. Shewchuk, "Adaptive Precision Floating-Point Arithmetic", 1997 (GROW-EXPANSION); rounding as in CPython's
 * `math.fsum`. Exact while every term's magnitude is below 1e290.
 */
export type Expansion = number[];

/** Adds `term` in place. */
export function addTo(expansion: Expansion, term: number): void {
  let x = term;
  let kept = 0;
  for (let index = 0; index < expansion.length; index += 1) {
    const y = expansion[index] ?? 0;
    const sum = x + y;
    const virtual = sum - x;
    const error = x - (sum - virtual) + (y - virtual);
    if (error !== 0) {
      expansion[kept] = error;
      kept += 1;
    }
    x = sum;
  }
  expansion.length = kept;
  if (x !== 0) expansion.push(x);
}

/** Adds another exact sum in place. */
export function addAll(expansion: Expansion, other: readonly number[]): void {
  for (const term of other) addTo(expansion, term);
}

const splitter = 134_217_729; // 2^27 + 1

/** Adds value² in place, exactly (Veltkamp's split, Dekker's product). */
export function addSquareTo(expansion: Expansion, value: number): void {
  const product = value * value;
  const scaled = splitter * value;
  const high = scaled - (scaled - value);
  const low = value - high;
  const error = low * low - (product - high * high - 2 * high * low);
  addTo(expansion, error);
  addTo(expansion, product);
}

/** The exact value, rounded once to the nearest double, ties to even. */
export function roundedSum(expansion: readonly number[]): number {
  let index = expansion.length - 1;
  if (index < 0) return 0;
  let high = expansion[index] ?? 0;
  let low = 0;
  while (index > 0 && low === 0) {
    index -= 1;
    const x = high;
    const y = expansion[index] ?? 0;
    high = x + y;
    low = y - (high - x);
  }
  const next = expansion[index - 1] ?? 0;
  // A tie that the rest below decides: round away from where it was rounded.
  if (index > 0 && low !== 0 && low < 0 === next < 0 && next !== 0) {
    const doubled = low * 2;
    const candidate = high + doubled;
    if (doubled === candidate - high) return candidate;
  }
  return high;
}

/** The one expansion of this exact value, most significant first: each term is what is left, rounded. */
export function canonicalTerms(expansion: readonly number[]): number[] {
  const rest = [...expansion];
  const terms: number[] = [];
  for (let term = roundedSum(rest); term !== 0; term = roundedSum(rest)) {
    terms.push(term);
    addTo(rest, -term);
  }
  return terms;
}
