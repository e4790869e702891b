import { isUtf8 } from 'node:buffer';
import { malformed } from '../packet-fault.ts';

/** Reads the data types of MQTT (version 5, section 1.5) from a whole packet. What ends too early is malformed. */
export class PacketReader {
  readonly #bytes: Buffer;
  readonly #end: number;
  #at: number;

  /** `at` is where the variable header begins. */
  constructor(bytes: Buffer, at = variableHeaderAt(bytes), end = bytes.length) {
    this.#bytes = bytes;
    this.#at = at;
    this.#end = end;
    if (at > end) throw malformed('The packet is cut off');
  }

  get left(): number {
    return this.#end - this.#at;
  }

  /** A reader of the next bytes, which are passed over here. */
  part(length: number): PacketReader {
    const from = this.#pass(length);
    return new PacketReader(this.#bytes, from, from + length);
  }

  byte(): number {
    return this.#bytes[this.#pass(1)] ?? 0;
  }

  u16(): number {
    return this.#bytes.readUInt16BE(this.#pass(2));
  }

  u32(): number {
    return this.#bytes.readUInt32BE(this.#pass(4));
  }

  varint(): number {
    let value = 0;
    for (let factor = 1; factor <= 0x20_00_00; factor *= 0x80) {
      const byte = this.byte();
      value += (byte & 0x7f) * factor;
      if (byte >= 0x80) continue;
      if (byte === 0 && factor > 1) throw malformed('A length takes more bytes than it needs');
      return value;
    }
    throw malformed('A length takes more than four bytes');
  }

  binary(): Buffer {
    const length = this.u16();
    const from = this.#pass(length);
    return this.#bytes.subarray(from, from + length);
  }

  /** Well-formed UTF-8 without U+0000; a byte order mark is a character like any other. */
  text(): string {
    const bytes = this.binary();
    if (bytes.includes(0) || !isUtf8(bytes)) throw malformed('A text is not well-formed UTF-8');
    return bytes.toString('utf8');
  }

  rest(): Buffer {
    return this.#bytes.subarray(this.#pass(this.left), this.#end);
  }

  /** Nothing may be left. */
  ends(): void {
    if (this.left > 0) throw malformed('The packet is longer than what it holds');
  }

  #pass(length: number): number {
    const from = this.#at;
    if (from + length > this.#end) throw malformed('The packet is cut off');
    this.#at += length;
    return from;
  }
}

/** Behind the type and a length of one to four bytes. */
export function variableHeaderAt(frame: Buffer): number {
  let at = 1;
  while (at < 4 && (frame[at] ?? 0) >= 0x80) at += 1;
  return at + 1;
}
