/** When records came, roughly: a bounded memory that gets coarser with its length. */
export class Arrivals {
  #marks: { readonly index: number; readonly atMs: number }[] = [];
  readonly #marksMax: number;
  #apartMs = 1000;

  constructor(marksMax = 1024) {
    this.#marksMax = marksMax;
  }

  /** The record `index` came at `atMs`; indices go up. */
  note(index: number, atMs: number): void {
    const last = this.#marks.at(-1);
    if (last && (atMs - last.atMs < this.#apartMs || index <= last.index)) return;
    this.#marks.push({ index, atMs });
    if (this.#marks.length <= this.#marksMax) return;
    this.#marks = this.#marks.filter((_, place) => place % 2 === 0);
    this.#apartMs *= 2;
  }

  /** Not later than the record came, as far as is known; undefined if nothing is. */
  of(index: number): number | undefined {
    return this.#marks.findLast((mark) => mark.index <= index)?.atMs;
  }

  /** Records below `index` are gone. */
  forgetBelow(index: number): void {
    const keep = this.#marks.findLastIndex((mark) => mark.index <= index);
    if (keep > 0) this.#marks.splice(0, keep);
  }
}
