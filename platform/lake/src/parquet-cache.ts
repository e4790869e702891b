import type { ObjectStore } from './object-store.ts';
import { type ParquetFile, parquetOfBytes, parquetOfObject } from './parquet/read-parquet.ts';

/** Files up to this size are kept whole. */
const wholeBytesMax = 2 << 20;
/** What an open file that is read by ranges counts for: its footer. */
const footerBytes = 64 << 10;

interface Kept {
  readonly file: Promise<ParquetFile>;
  readonly bytes: number;
}

/** Open files, which never change: small ones whole, of large ones the footers. The least recently used go first. */
export class ParquetCache {
  readonly #store: ObjectStore;
  readonly #bytesMax: number;
  readonly #kept = new Map<string, Kept>();
  #bytes = 0;

  constructor(store: ObjectStore, bytesMax = 128 << 20) {
    this.#store = store;
    this.#bytesMax = bytesMax;
  }

  open(object: { readonly key: string; readonly bytes: number }): Promise<ParquetFile> {
    const { key } = object;
    const found = this.#kept.get(key);
    if (found) {
      this.#kept.delete(key);
      this.#kept.set(key, found);
      return found.file;
    }
    const isWhole = object.bytes <= wholeBytesMax;
    const file = isWhole ? this.#openWhole(object) : parquetOfObject(this.#store, object);
    this.#keep(key, { file, bytes: isWhole ? object.bytes : footerBytes });
    file.catch(() => this.#drop(key));
    return file;
  }

  async #openWhole({ key, bytes }: { key: string; bytes: number }): Promise<ParquetFile> {
    return parquetOfBytes(await this.#store.getRange(key, { start: 0, end: bytes }));
  }

  #keep(key: string, kept: Kept): void {
    this.#kept.set(key, kept);
    this.#bytes += kept.bytes;
    for (const oldest of this.#kept.keys()) {
      if (this.#bytes <= this.#bytesMax || oldest === key) break;
      this.#drop(oldest);
    }
  }

  #drop(key: string): void {
    this.#bytes -= this.#kept.get(key)?.bytes ?? 0;
    this.#kept.delete(key);
  }
}
