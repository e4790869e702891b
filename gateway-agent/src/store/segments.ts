import { type FileHandle, open, rename, unlink } from 'node:fs/promises';
import { must } from '@domicile/core/invariants.ts';
import { type StoredRecord, encodeRecord } from '../model/record.ts';
import { type SegmentHead, encodeSegmentHead } from '../model/segment.ts';
import { type Damage, damageOf } from './damage.ts';
import { isNoSpace, segmentPath, syncDirectory, writeAll } from './files.ts';
import { sealSegment } from './seal.ts';
import type { Segment, SegmentPart } from './segment-file.ts';
import { SegmentReader } from './segment-reader.ts';
import type { ReadLimits } from './store.ts';

/** The files of a store: the last one is open and plain, those before are closed and, sooner or later, packed. */
export class Segments implements AsyncDisposable {
  readonly #directory: string;
  readonly #list: Segment[];
  readonly #reader = new SegmentReader();
  /** Reads and exchanges of files follow each other. */
  #turn: Promise<unknown> = Promise.resolve();
  #file: FileHandle | undefined;
  #bytes: number;
  #sealing: Promise<void> | undefined;
  /** Something in these cannot be read; they stay as they are. */
  readonly #unsealable = new Set<string>();

  constructor(directory: string, list: Segment[]) {
    this.#directory = directory;
    this.#list = list;
    this.#bytes = list.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  get bytes(): number {
    return this.#bytes;
  }

  get active(): Segment {
    return must(this.#list.at(-1), 'A store has an open segment');
  }

  /** All but the open one, oldest first, each with the index at which the next begins. */
  closed(): { readonly segment: Segment; readonly end: number }[] {
    return this.#list
      .slice(0, -1)
      .map((segment, place) => ({ segment, end: this.#list[place + 1]?.first ?? segment.first }));
  }

  /** Begins a segment: it is there, with its head, or not at all. */
  async roll(next: number, head: SegmentHead): Promise<void> {
    const path = segmentPath(this.#directory, next);
    const bytes = encodeRecord({
      index: next,
      kind: 'segment',
      lane: 'live',
      device: '',
      boot: '',
      seq: -1,
      body: encodeSegmentHead(head),
    });
    const file = await open(`${path}.new`, 'w');
    await writeAll(file, bytes, 0);
    await file.datasync();
    await rename(`${path}.new`, path);
    await syncDirectory(this.#directory);
    await this.#file?.close();
    this.#file = file;
    const last = this.#list.at(-1);
    // One without records, of which only the name was left.
    if (last?.first === next) this.#bytes -= this.#list.pop()?.bytes ?? 0;
    this.#list.push({ first: next, path, bytes: bytes.length, form: 'plain' });
    this.#bytes += bytes.length;
  }

  /** Writes behind what is synced; if there is no room, nothing of it stays. Throws what the disk throws. */
  async write(bytes: Buffer): Promise<void> {
    const file = must(this.#file, 'A store that writes has a file');
    const { active } = this;
    try {
      await writeAll(file, bytes, active.bytes);
    } catch (error) {
      if (isNoSpace(error)) await file.truncate(active.bytes);
      throw error;
    }
  }

  /** After a failed sync nobody knows what is on the disk: only a new start can tell. */
  async sync(written: number): Promise<void> {
    await must(this.#file, 'A store that writes has a file').datasync();
    this.active.bytes += written;
    this.#bytes += written;
  }

  /** The segment that `index` is in, or would be; undefined if it is older than all. */
  at(index: number): { readonly segment: Segment; readonly end: number | undefined } | undefined {
    const place = this.#list.findLastIndex(({ first }) => first <= index);
    const segment = this.#list[place];
    return segment && { segment, end: this.#list[place + 1]?.first };
  }

  get first(): number | undefined {
    return this.#list[0]?.first;
  }

  read(from: number, to: number, limits: ReadLimits): Promise<SegmentPart> {
    return this.#inTurn(async () => {
      const segment = this.at(from)?.segment;
      if (!segment) return { records: [], next: undefined, damaged: false };
      return this.#reader.read(segment, { from, to }, limits);
    });
  }

  /** All records of a segment that can be read. */
  readAll({ first }: Segment, end: number): Promise<readonly StoredRecord[]> {
    return this.#inTurn(async () => {
      const segment = this.#list.find((one) => one.first === first);
      if (!segment) return [];
      const limits = { recordsMax: Infinity, bytesMax: Infinity };
      const range = { from: first, to: end };
      return (await new SegmentReader().read(segment, range, limits)).records;
    });
  }

  damageAt(index: number): Promise<Damage> {
    return this.#inTurn(async () => {
      const segment = this.at(index)?.segment;
      if (!segment) return { dropped: [], unreadable: 0 };
      return damageOf(segment, this.#list[this.#list.indexOf(segment) + 1]);
    });
  }

  remove({ first }: Segment): Promise<void> {
    return this.#inTurn(async () => {
      const place = this.#list.findIndex((one) => one.first === first);
      const [segment] = place === -1 ? [] : this.#list.splice(place, 1);
      if (!segment) return;
      this.#bytes -= segment.bytes;
      this.#reader.forget(segment.path);
      await unlink(segment.path);
    });
  }

  /** Packs what is closed, oldest first, one at a time. A disk without room for it is left as it is. */
  seal(stop: () => boolean): Promise<void> {
    this.#sealing ??= this.#sealAll(stop).finally(() => {
      this.#sealing = undefined;
    });
    return this.#sealing;
  }

  async #sealAll(stop: () => boolean): Promise<void> {
    try {
      while (!stop() && (await this.#sealNext()));
    } catch (error) {
      if (!isNoSpace(error)) throw error;
    }
  }

  async #sealNext(): Promise<boolean> {
    const plain = this.#list
      .slice(0, -1)
      .find(({ form, path }) => form === 'plain' && !this.#unsealable.has(path));
    if (!plain) return false;
    const sealed = await sealSegment(plain).catch((error: unknown) => {
      // It was sent and removed meanwhile.
      if (!this.#list.includes(plain)) return undefined;
      throw error;
    });
    if (sealed) await this.#inTurn(() => this.#exchange(plain, sealed));
    else this.#unsealable.add(plain.path);
    return true;
  }

  async #exchange(plain: Segment, sealed: Segment): Promise<void> {
    const place = this.#list.indexOf(plain);
    if (place === -1) {
      await unlink(sealed.path);
      return;
    }
    this.#list[place] = sealed;
    this.#bytes += sealed.bytes - plain.bytes;
    this.#reader.forget(plain.path);
    await unlink(plain.path);
  }

  #inTurn<Result>(action: () => Promise<Result>): Promise<Result> {
    const result = this.#turn.then(action);
    this.#turn = result.catch(() => undefined);
    return result;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#turn;
    await this.#file?.close();
  }
}
