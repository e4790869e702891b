/** Where a part stands in the bytes: the first one, and the one after the last. */
type Span = readonly [from: number, to: number];

const byte = {
  quote: 0x22,
  comma: 0x2c,
  colon: 0x3a,
  openArray: 0x5b,
  backslash: 0x5c,
  closeArray: 0x5d,
  openObject: 0x7b,
  closeObject: 0x7d,
} as const;

const spaces = new Set([0x20, 0x09, 0x0a, 0x0d]);
const byteOrderMark = [0xef, 0xbb, 0xbf];
const decoder = new TextDecoder();

/**
 * Finds the parts of a telemetry payload in its bytes, so that they can be kept as they came: parsed and written again, a number loses
 * digits and an object the spaces and the keys that were said twice. Scans the payload once, and a reading once.
 */
export class JsonParts {
  readonly #bytes: Uint8Array;
  #elements: readonly Span[] | undefined;
  readonly #values = new Map<string, ReadonlyMap<string, Span>>();

  /** `bytes`: of JSON that was parsed without an error; else nothing but the whole is to be asked for. */
  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  /**
   * A reading as it came, or one of its values. `pointer`: of the reading, empty for the payload itself. What is not found is empty:
   * never more is given than the payload has, however much is asked for.
   */
  bytesOf(pointer: string, metric?: string): Uint8Array {
    const reading = this.#readingAt(pointer);
    const found = metric === undefined ? reading : this.#valuesOf(pointer, reading).get(metric);
    return this.#bytes.subarray(...(found ?? [0, 0]));
  }

  #readingAt(pointer: string): Span | undefined {
    if (pointer === '') return [0, this.#bytes.length];
    this.#elements ??= [...this.#elementsIn(this.#begin())];
    return this.#elements[Number(pointer.slice(1))];
  }

  #valuesOf(pointer: string, reading: Span | undefined): ReadonlyMap<string, Span> {
    const known = this.#values.get(pointer);
    if (known) return known;
    const from = pointer === '' ? this.#begin() : (reading?.[0] ?? this.#bytes.length);
    const values = this.#membersIn(from).get('values');
    const members = values ? this.#membersIn(values[0]) : new Map<string, Span>();
    this.#values.set(pointer, members);
    return members;
  }

  #begin(): number {
    const isMarked = byteOrderMark.every((one, index) => this.#bytes[index] === one);
    return this.#afterSpaces(isMarked ? byteOrderMark.length : 0);
  }

  *#elementsIn(from: number): Generator<Span> {
    if (this.#bytes[from] !== byte.openArray) return;
    for (let at = this.#afterSpaces(from + 1); this.#isWithin(at);) {
      const end = this.#afterValue(at);
      yield [at, end];
      at = this.#afterComma(end);
    }
  }

  /** Of a key that is said twice the last one, as whoever parses it takes it. */
  #membersIn(from: number): ReadonlyMap<string, Span> {
    const members = new Map<string, Span>();
    if (this.#bytes[from] !== byte.openObject) return members;
    for (let at = this.#afterSpaces(from + 1); this.#isWithin(at);) {
      const keyEnd = this.#afterText(at);
      const begin = this.#afterSpaces(this.#afterSpaces(keyEnd) + 1);
      const end = this.#afterValue(begin);
      members.set(keyOf(this.#bytes.subarray(at, keyEnd)), [begin, end]);
      at = this.#afterComma(end);
    }
    return members;
  }

  #isWithin(at: number): boolean {
    const one = this.#bytes[at];
    return one !== undefined && one !== byte.closeArray && one !== byte.closeObject;
  }

  #afterSpaces(from: number): number {
    let at = from;
    while (spaces.has(this.#bytes[at] ?? -1)) at += 1;
    return at;
  }

  #afterComma(from: number): number {
    const at = this.#afterSpaces(from);
    return this.#bytes[at] === byte.comma ? this.#afterSpaces(at + 1) : at;
  }

  #afterValue(from: number): number {
    const first = this.#bytes[from];
    if (first === byte.quote) return this.#afterText(from);
    if (first === byte.openArray || first === byte.openObject) return this.#afterNested(from);
    let at = from;
    while (
      this.#isWithin(at) &&
      this.#bytes[at] !== byte.comma &&
      !spaces.has(this.#bytes[at] ?? 0)
    )
      at += 1;
    return at;
  }

  /** By counting: what is nested 60,000 deep must not be followed by calls. */
  #afterNested(from: number): number {
    let depth = 0;
    for (let at = from; at < this.#bytes.length;) {
      const one = this.#bytes[at];
      if (one === byte.quote) {
        at = this.#afterText(at);
        continue;
      }
      at += 1;
      if (one === byte.openArray || one === byte.openObject) depth += 1;
      if (one === byte.closeArray || one === byte.closeObject) depth -= 1;
      if (depth === 0) return at;
    }
    return this.#bytes.length;
  }

  #afterText(from: number): number {
    for (let at = from + 1; at < this.#bytes.length; at += 1) {
      if (this.#bytes[at] === byte.backslash) at += 1;
      else if (this.#bytes[at] === byte.quote) return at + 1;
    }
    return this.#bytes.length;
  }
}

function keyOf(text: Uint8Array): string {
  return String(JSON.parse(decoder.decode(text)));
}
