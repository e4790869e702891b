const growTo = 2;

/** Writes the data types of MQTT (version 5, section 1.5) one after the other. */
export class PacketWriter {
  #bytes: Buffer;
  #end = 0;

  constructor(bytes = 256) {
    this.#bytes = Buffer.allocUnsafe(bytes);
  }

  get length(): number {
    return this.#end;
  }

  get written(): Buffer {
    return this.#bytes.subarray(0, this.#end);
  }

  clear(): this {
    this.#end = 0;
    return this;
  }

  byte(value: number): this {
    const at = this.#room(1);
    this.#bytes[at] = value;
    return this;
  }

  u16(value: number): this {
    const at = this.#room(2);
    this.#bytes.writeUInt16BE(value, at);
    return this;
  }

  u32(value: number): this {
    const at = this.#room(4);
    this.#bytes.writeUInt32BE(value, at);
    return this;
  }

  varint(value: number): this {
    let left = value;
    for (; left >= 0x80; left = Math.floor(left / 0x80)) this.byte((left % 0x80) | 0x80);
    return this.byte(left);
  }

  binary(value: Buffer): this {
    return this.u16(value.length).raw(value);
  }

  text(value: string): this {
    const length = Buffer.byteLength(value);
    this.u16(length);
    const at = this.#room(length);
    this.#bytes.write(value, at, length, 'utf8');
    return this;
  }

  raw(value: Buffer): this {
    const at = this.#room(value.length);
    value.copy(this.#bytes, at);
    return this;
  }

  /** The packet with its fixed header, as memory of its own. */
  packet(firstByte: number): Buffer {
    const header = 1 + varintBytes(this.#end);
    const packet = Buffer.allocUnsafe(header + this.#end);
    packet[0] = firstByte;
    let left = this.#end;
    for (let at = 1; at < header; at += 1) {
      packet[at] = at < header - 1 ? (left % 0x80) | 0x80 : left;
      left = Math.floor(left / 0x80);
    }
    this.#bytes.copy(packet, header, 0, this.#end);
    return packet;
  }

  #room(length: number): number {
    const from = this.#end;
    this.#end += length;
    if (this.#end > this.#bytes.length) {
      const grown = Buffer.allocUnsafe(this.#end * growTo);
      this.#bytes.copy(grown, 0, 0, from);
      this.#bytes = grown;
    }
    return from;
  }
}

export function varintBytes(value: number): number {
  if (value < 0x80) return 1;
  if (value < 0x40_00) return 2;
  return value < 0x20_00_00 ? 3 : 4;
}
