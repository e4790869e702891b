/** From 0 up to and without 1, the same for the same keys: chance without a state (FNV-1a, then the finisher of MurmurHash3). */
export function chance(seed: number, ...keys: readonly (string | number)[]): number {
  let hash = (2_166_136_261 ^ seed) >>> 0;
  for (const key of keys) {
    const text = `${key}/`;
    for (let at = 0; at < text.length; at += 1)
      hash = Math.imul(hash ^ text.charCodeAt(at), 16_777_619);
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x85eb_ca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2_ae35);
  return ((hash ^ (hash >>> 16)) >>> 0) / 2 ** 32;
}

/** From `low` up to `high`. */
export function between(low: number, high: number, share: number): number {
  return low + (high - low) * share;
}
