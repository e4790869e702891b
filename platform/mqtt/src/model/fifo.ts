const compactFrom = 256;

/** A queue whose head is taken in constant time, however long it is. */
export class Fifo<Value> {
  #values: (Value | undefined)[] = [];
  #head = 0;

  get size(): number {
    return this.#values.length - this.#head;
  }

  push(value: Value): void {
    this.#values.push(value);
  }

  peek(): Value | undefined {
    return this.#values[this.#head];
  }

  shift(): Value | undefined {
    const value = this.#values[this.#head];
    if (this.#head >= this.#values.length) return undefined;
    this.#values[this.#head] = undefined;
    this.#head += 1;
    if (this.#head === this.#values.length) {
      this.#values = [];
      this.#head = 0;
    } else if (this.#head >= compactFrom && this.#head * 2 >= this.#values.length) {
      this.#values = this.#values.slice(this.#head);
      this.#head = 0;
    }
    return value;
  }

  /** Takes out what the test says. */
  remove(isGone: (value: Value) => boolean): readonly Value[] {
    const all = [...this];
    const gone = all.filter((value) => isGone(value));
    if (gone.length > 0) {
      this.#values = all.filter((value) => !gone.includes(value));
      this.#head = 0;
    }
    return gone;
  }

  *[Symbol.iterator](): Generator<Value> {
    for (const value of this.#values.slice(this.#head)) if (value !== undefined) yield value;
  }
}
