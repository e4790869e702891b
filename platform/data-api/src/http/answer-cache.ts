export interface ReadyAnswer {
  readonly body: Buffer;
  readonly next: string | null;
}

/** Answers by ETag, the least asked for dropped first. An ETag names the data, so nothing in here grows old. */
export class AnswerCache {
  readonly #bytesMax: number;
  readonly #answers = new Map<string, ReadyAnswer>();
  #bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  get(etag: string): ReadyAnswer | undefined {
    const answer = this.#answers.get(etag);
    if (!answer) return undefined;
    this.#answers.delete(etag);
    this.#answers.set(etag, answer);
    return answer;
  }

  /** An answer that would take more than a sixteenth of the room is not kept. */
  put(etag: string, answer: ReadyAnswer): void {
    if (answer.body.length > this.#bytesMax / 16 || this.#answers.has(etag)) return;
    this.#answers.set(etag, answer);
    this.#bytes += answer.body.length;
    for (const [oldest, { body }] of this.#answers) {
      if (this.#bytes <= this.#bytesMax) return;
      this.#answers.delete(oldest);
      this.#bytes -= body.length;
    }
  }
}
