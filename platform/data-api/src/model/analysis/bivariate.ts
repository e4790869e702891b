/**
 * Pearson's correlation and the least-squares line of pairs, in one pass. Means and co-moments are updated pair by pair, so
 * nothing cancels. Source: Welford 1962; Pébay, SAND2008-6212, for the co-moment.
 */
export class Bivariate {
  #count = 0;
  #meanX = 0;
  #meanY = 0;
  #squaresX = 0;
  #squaresY = 0;
  #products = 0;

  add(x: number, y: number): void {
    this.#count += 1;
    const dx = x - this.#meanX;
    const dy = y - this.#meanY;
    this.#meanX += dx / this.#count;
    this.#meanY += dy / this.#count;
    this.#squaresX += dx * (x - this.#meanX);
    this.#squaresY += dy * (y - this.#meanY);
    this.#products += dx * (y - this.#meanY);
  }

  get count(): number {
    return this.#count;
  }

  /** In [-1, 1]; null for fewer than three pairs, and when one side does not vary. */
  get correlation(): number | null {
    if (!this.#varies) return null;
    const raw = this.#products / Math.sqrt(this.#squaresX) / Math.sqrt(this.#squaresY);
    return Math.min(1, Math.max(-1, raw));
  }

  /** Of y over x. */
  get line(): { readonly slope: number; readonly intercept: number } | null {
    if (!this.#varies) return null;
    const slope = this.#products / this.#squaresX;
    return { slope, intercept: this.#meanY - slope * this.#meanX };
  }

  get #varies(): boolean {
    return this.#count >= pairsMin && this.#squaresX > 0 && this.#squaresY > 0;
  }
}

/** Two pairs always lie on a line. */
export const pairsMin = 3;
