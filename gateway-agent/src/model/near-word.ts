/** The word that was probably meant, or undefined if none is near: at most a third of its letters differ. */
export function nearestWord(word: string, words: readonly string[]): string | undefined {
  let found: string | undefined;
  let least = Infinity;
  for (const candidate of words) {
    const distance = distanceOf(plain(word), plain(candidate));
    const allowed = Math.max(1, Math.floor(candidate.length / 3));
    if (distance <= allowed && distance < least) {
      found = candidate;
      least = distance;
    }
  }
  return found;
}

/** `bytes_max` and `bytesmax` are `bytesMax` to a person. */
function plain(word: string): string {
  return word.toLowerCase().replaceAll(/[-_. ]/g, '');
}

/** Levenshtein's: letters to add, leave out or replace; a swap of neighbours counts once. */
function distanceOf(left: string, right: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: right.length + 1 }, (_, index) => index);
  for (let i = 1; i <= left.length; i++) {
    const row = [i];
    for (let j = 1; j <= right.length; j++) {
      const cost = left[i - 1] === right[j - 1] ? 0 : 1;
      const isSwap = i > 1 && j > 1 && left[i - 1] === right[j - 2] && left[i - 2] === right[j - 1];
      row[j] = Math.min(
        (last[j] ?? 0) + 1,
        (row[j - 1] ?? 0) + 1,
        (last[j - 1] ?? 0) + cost,
        isSwap ? (beforeLast[j - 2] ?? 0) + 1 : Infinity,
      );
    }
    beforeLast = last;
    last = row;
  }
  return last[right.length] ?? 0;
}
