export type FrameFault = 'malformed' | 'too-large';

const headerBytesMax = 5;
const nothing = Buffer.alloc(0);

/**
 * Cuts a byte stream into whole MQTT packets (MQTT 5, section 2.1) before anything parses them. A packet
 * above the limit is known by its header: none of its body is kept.
 */
export class FrameReader {
  #bytes: Buffer = nothing;
  #start = 0;
  #end = 0;
  /** Whether the tail of `#bytes` is ours to write to; a chunk of a socket is not. */
  #owned = false;

  /** What waits to be cut, in bytes. */
  get heldBytes(): number {
    return this.#end - this.#start;
  }

  push(chunk: Buffer): void {
    const held = this.heldBytes;
    if (held === 0) {
      this.#bytes = chunk;
      this.#start = 0;
      this.#end = chunk.length;
      this.#owned = false;
      return;
    }
    if (!this.#owned || this.#bytes.length - this.#end < chunk.length) {
      // Twice what is held: bytes that come one by one are copied a constant number of times.
      const grown = Buffer.allocUnsafe(Math.max(2 * held, held + chunk.length));
      this.#bytes.copy(grown, 0, this.#start, this.#end);
      this.#bytes = grown;
      this.#start = 0;
      this.#end = held;
      this.#owned = true;
    }
    chunk.copy(this.#bytes, this.#end);
    this.#end += chunk.length;
  }

  /** The next whole packet, or `undefined` until more bytes come. After a fault the stream is lost. */
  next(packetBytesMax: number): Buffer | FrameFault | undefined {
    let length = 0;
    let factor = 1;
    for (let at = 1; at < headerBytesMax; at += 1) {
      if (this.#start + at >= this.#end) return undefined;
      const byte = this.#bytes[this.#start + at] ?? 0;
      length += (byte & 0x7f) * factor;
      factor *= 128;
      if (byte >= 0x80) continue;
      if (byte === 0 && at > 1) return 'malformed';
      return this.#cut(at + 1 + length, packetBytesMax);
    }
    return 'malformed';
  }

  clear(): void {
    this.#bytes = nothing;
    this.#start = 0;
    this.#end = 0;
    this.#owned = false;
  }

  #cut(bytes: number, packetBytesMax: number): Buffer | FrameFault | undefined {
    if (bytes > packetBytesMax) return 'too-large';
    if (this.heldBytes < bytes) return undefined;
    const frame = this.#bytes.subarray(this.#start, this.#start + bytes);
    this.#start += bytes;
    // An idle connection keeps no memory of what it last said.
    if (this.#start === this.#end) this.clear();
    return frame;
  }
}
