/** A text that may be larger than a message: compressed when that is worth it, and cut into the values of several records. */
import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib';

/** Of one record's value; the broker takes messages of 1 MiB. */
export const partBytesMax = 500_000;
/** Below it compression saves nothing that matters. */
const compressedFromBytes = 2_048;
/** A joined text may not be larger: what claims to be is broken. */
const textBytesMax = 1 << 30;

const compression = { params: { [constants.ZSTD_c_compressionLevel]: 1 } };

/** Where a part belongs, as its record's headers say. */
export interface PartHeaders {
  readonly commit: string;
  readonly part: string;
  readonly parts: string;
  readonly encoding: 'json' | 'zstd';
}

export interface Part {
  readonly value: Buffer;
  readonly headers: PartHeaders;
}

export function cut(commit: number, text: string): Part[] {
  const plain = Buffer.from(text);
  const isSmall = plain.length < compressedFromBytes;
  const bytes = isSmall ? plain : zstdCompressSync(plain, compression);
  const encoding = isSmall ? 'json' : 'zstd';
  const count = Math.max(1, Math.ceil(bytes.length / partBytesMax));
  return Array.from({ length: count }, (_, part) => ({
    value: bytes.subarray(part * partBytesMax, (part + 1) * partBytesMax),
    headers: { commit: `${commit}`, part: `${part}`, parts: `${count}`, encoding },
  }));
}

interface PartRecord {
  readonly value: Buffer | null;
  readonly headers: ReadonlyMap<string, string>;
}

interface Gathering {
  readonly parts: (Buffer | undefined)[];
  readonly encoding: string | undefined;
  missing: number;
}

/** Joins texts from their parts in any order; what lacks a part is never given. */
export class Joiner {
  readonly #gathering = new Map<string, Gathering>();

  /** The whole, once its last missing part is there. */
  add({ value, headers }: PartRecord): { commit: number; text: string } | undefined {
    const commit = headers.get('commit');
    const count = Number(headers.get('parts'));
    const part = Number(headers.get('part'));
    if (value === null || commit === undefined || !(part < count)) return undefined;
    let gathering = this.#gathering.get(commit);
    if (gathering?.parts.length !== count) {
      const encoding = headers.get('encoding');
      gathering = { parts: Array.from({ length: count }), encoding, missing: count };
      this.#gathering.set(commit, gathering);
    }
    if (gathering.parts[part] === undefined) gathering.missing -= 1;
    gathering.parts[part] = value;
    if (gathering.missing > 0) return undefined;
    this.#gathering.delete(commit);
    const bytes = Buffer.concat(gathering.parts.filter((one) => one !== undefined));
    const text = gathering.encoding === 'zstd' ? inflated(bytes) : bytes;
    return { commit: Number(commit), text: text.toString() };
  }
}

function inflated(bytes: Buffer): Buffer {
  return zstdDecompressSync(bytes, { maxOutputLength: textBytesMax });
}
