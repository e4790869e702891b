import { type FileHandle, open, rename, unlink } from 'node:fs/promises';
import { PlatformError } from '@domicile/core/errors.ts';
import { must } from '@domicile/core/invariants.ts';
import type { AccountSource } from '../model/account.ts';
import { type DropOrder, type Dropped, addDropped, isOrdered } from '../model/dropped.ts';
import { type DeviceNumbers, Numbering } from '../model/numbering.ts';
import {
  type Ranges,
  addRange,
  boundRanges,
  countOf,
  holds,
  removeRange,
  within,
} from '../model/ranges.ts';
import { type StoredRecord, encodeRecord } from '../model/record.ts';
import { type Checkpoint, unsentRangesMax } from '../model/recovery.ts';
import { encodeSegmentHead } from '../model/segment.ts';
import { type Batch, encodeBatch } from './batch.ts';
import { damageOf } from './damage.ts';
import { isNoSpace, segmentPath, syncDirectory, writeAll, writeCheckpoint } from './files.ts';
import type { StoreOptions } from './open-store.ts';
import type { Reserve } from './reserve.ts';
import { type Segment, SegmentReader } from './segment-reader.ts';
import type { Entry, ReadLimits, ReadPart, Store } from './store.ts';

/** What may wait for the disk; above it senders are held back. */
const waitingBytesMax = 16 * 1024 * 1024;
const batchBytesMax = 4 * 1024 * 1024;
/** Room that a record takes beside its text: head, names, number. */
const recordOverheadBytes = 256;
const ordersMax = 100;
const droppedMax = 10_000;

interface Waiting {
  readonly entries: readonly Entry[];
  readonly bytes: number;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

export interface StoreParts {
  readonly state: Checkpoint;
  readonly segments: Segment[];
  readonly reserve: Reserve;
}

export class SegmentStore implements Store {
  readonly boot: string;
  readonly #options: StoreOptions;
  readonly #numbering: Numbering;
  readonly #segments: Segment[];
  readonly #reserve: Reserve;
  readonly #reader = new SegmentReader();
  #next: number;
  #unsent: Ranges;
  #dropped: readonly Dropped[];
  #orders: readonly DropOrder[];
  #file: FileHandle | undefined;
  #waiting: Waiting[] = [];
  #waitingBytes = 0;
  #writing: Promise<void> | undefined;
  #checkpointing: Promise<unknown> = Promise.resolve();
  #isDirty = false;
  #failure: unknown;
  #timer: NodeJS.Timeout | undefined;

  private constructor(options: StoreOptions, { state, segments, reserve }: StoreParts) {
    this.#options = options;
    this.boot = state.boot;
    this.#next = state.next;
    this.#unsent = state.unsent;
    this.#dropped = state.dropped;
    this.#orders = state.orders;
    this.#numbering = new Numbering(state.numbers);
    this.#segments = segments;
    this.#reserve = reserve;
  }

  static async begin(
    options: StoreOptions,
    { state, segments, reserve }: StoreParts,
  ): Promise<SegmentStore> {
    const store = new SegmentStore(options, { state, segments, reserve });
    await reserve.spendFor(() => store.#roll());
    await store.checkpoint();
    await reserve.fill();
    store.#timer = setInterval(() => store.#tick(), options.checkpointEveryMs);
    return store;
  }

  get next(): number {
    return this.#next;
  }

  get unsent(): Ranges {
    return this.#unsent;
  }

  get bytes(): number {
    return this.#segments.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  append(entries: readonly Entry[]): Promise<void> {
    const bytes = entries.reduce((sum, entry) => sum + sizeOf(entry), 0);
    const refusal = this.#refusal(bytes);
    if (refusal) {
      this.#options.events.appendRefused(refusal.code);
      return Promise.reject(refusal);
    }
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#waiting.push({ entries, bytes, resolve, reject });
    this.#waitingBytes += bytes;
    this.#writing ??= this.#write();
    return promise;
  }

  #refusal(bytes: number): PlatformError | undefined {
    if (this.#failure !== undefined)
      return new PlatformError('UPSTREAM_UNAVAILABLE', 'Cannot keep readings: the disk fails');
    if (this.#waitingBytes + bytes > waitingBytesMax)
      return new PlatformError('RATE_LIMITED', 'Cannot keep readings: too many wait for the disk');
    const { bytesMax, whenFull } = this.#options;
    if (whenFull === 'refuse' && this.bytes + this.#waitingBytes + bytes > bytesMax)
      return new PlatformError('STORE_FULL', 'Cannot keep readings: the store is full');
    return undefined;
  }

  /** Group commit: whatever came while the disk was busy goes into the next write. */
  async #write(): Promise<void> {
    // What arrives in the same turn shares the first write.
    await Promise.resolve();
    while (this.#waiting.length > 0) {
      const taken = this.#take();
      try {
        await this.#writeBatch(taken);
        for (const { resolve } of taken) resolve();
      } catch (error) {
        for (const { reject } of taken) reject(error);
      }
    }
    this.#writing = undefined;
  }

  #take(): Waiting[] {
    let bytes = 0;
    const count = this.#waiting.findIndex((one, place) => {
      bytes += one.bytes;
      return bytes > batchBytesMax && place > 0;
    });
    const taken = this.#waiting.splice(0, count === -1 ? this.#waiting.length : count);
    this.#waitingBytes -= taken.reduce((sum, one) => sum + one.bytes, 0);
    return taken;
  }

  async #writeBatch(taken: readonly Waiting[]): Promise<void> {
    const { events, listener, segmentBytesMax } = this.#options;
    if (this.#failure !== undefined)
      throw new PlatformError('UPSTREAM_UNAVAILABLE', 'Cannot keep readings: the disk fails');
    const from = performance.now();
    if (this.#active().bytes >= segmentBytesMax) await this.#rollOver();
    const batch = encodeBatch(
      taken.flatMap(({ entries }) => entries),
      {
        boot: this.boot,
        next: this.#next,
        numbering: this.#numbering,
      },
    );
    if (this.#options.whenFull === 'drop-oldest') await this.#makeRoom(batch.bytes.length);
    await this.#commit(batch);
    const seconds = (performance.now() - from) / 1000;
    events.batchSynced({ records: batch.records.length, bytes: batch.bytes.length, seconds });
    if (batch.commit() > 0) listener.accountChanged();
    this.#unsent = this.#bounded(
      addRange(this.#unsent, { from: this.#next, to: this.#next + batch.records.length }),
    );
    this.#next += batch.records.length;
    this.#isDirty = true;
    listener.appended(batch.records);
  }

  async #commit({ bytes }: Batch): Promise<void> {
    const active = this.#active();
    const file = must(this.#file, 'A store that writes has a file');
    try {
      await writeAll(file, bytes, active.bytes);
    } catch (error) {
      if (!isNoSpace(error)) throw this.#failed(error);
      await file.truncate(active.bytes).catch((broken: unknown) => this.#failed(broken));
      throw noSpace(error);
    }
    // After a failed sync nobody knows what is on the disk: only a new start can tell.
    await file.datasync().catch((error: unknown) => {
      throw this.#failed(error);
    });
    active.bytes += bytes.length;
  }

  #failed(error: unknown): PlatformError {
    this.#failure = error;
    this.#options.fail(error);
    return new PlatformError('UPSTREAM_UNAVAILABLE', 'Cannot keep readings: the disk fails', {
      cause: error,
    });
  }

  async #rollOver(): Promise<void> {
    try {
      await this.#roll();
    } catch (error) {
      if (isNoSpace(error)) throw noSpace(error);
      throw this.#failed(error);
    }
  }

  /** Begins a segment: it is there, with its head, or not at all. */
  async #roll(): Promise<void> {
    const { directory } = this.#options;
    const path = segmentPath(directory, this.#next);
    const head = encodeRecord({
      index: this.#next,
      kind: 'segment',
      lane: 'live',
      device: '',
      boot: '',
      seq: -1,
      body: encodeSegmentHead({ boot: this.boot, numbers: this.#numbering.numbers() }),
    });
    const file = await open(`${path}.new`, 'w');
    await writeAll(file, head, 0);
    await file.datasync();
    await rename(`${path}.new`, path);
    await syncDirectory(directory);
    await this.#file?.close();
    this.#file = file;
    const last = this.#segments.at(-1);
    if (last?.first === this.#next) this.#segments.pop();
    this.#segments.push({ first: this.#next, path, bytes: head.length });
  }

  #active(): Segment {
    return must(this.#segments.at(-1), 'A store has an open segment');
  }

  async read(from: number, to: number, limits: ReadLimits): Promise<ReadPart> {
    const place = this.#segments.findLastIndex(({ first }) => first <= from);
    const segment = this.#segments[place];
    if (!segment) return { records: [], next: Math.min(to, this.#segments[0]?.first ?? to) };
    // Taken before the wait: what is appended meanwhile is not what this read answers for.
    const segmentEnd = this.#segments[place + 1]?.first ?? this.#next;
    const part = await this.#reader.read(segment, { from, to }, limits);
    if (part.damaged) await this.#explain(segment);
    return { records: part.records, next: Math.min(to, part.next ?? segmentEnd) };
  }

  async #explain(segment: Segment): Promise<void> {
    const after = this.#segments[this.#segments.indexOf(segment) + 1];
    const damage = await damageOf(segment, after);
    const before = this.#dropped;
    this.#dropped = damage.dropped.reduce(addDropped, this.#dropped).slice(-droppedMax);
    this.#isDirty = true;
    if (JSON.stringify(before) === JSON.stringify(this.#dropped)) return;
    this.#options.events.recordsUnreadable(damage.unreadable);
    this.#options.listener.accountChanged();
  }

  sent(indices: readonly number[]): void {
    let unsent = this.#unsent;
    let from = -1;
    let to = -1;
    for (const index of indices) {
      if (index !== to) {
        unsent = removeRange(unsent, { from, to });
        from = index;
      }
      to = index + 1;
    }
    this.#unsent = this.#bounded(removeRange(unsent, { from, to }));
    this.#isDirty = true;
  }

  sentUpTo(from: number, to: number): void {
    this.#unsent = this.#bounded(removeRange(this.#unsent, { from, to }));
    this.#isDirty = true;
  }

  #bounded(ranges: Ranges): Ranges {
    return ranges.length <= unsentRangesMax ? ranges : boundRanges(ranges, unsentRangesMax);
  }

  dropIfOrdered({ device, boot, seq, index }: StoredRecord): boolean {
    if (this.#orders.length === 0 || !isOrdered(this.#orders, { device, boot, seq })) return false;
    this.#drop({ device, boot, from: seq, to: seq, reason: 'operator' });
    this.sent([index]);
    return true;
  }

  #drop(dropped: Dropped): void {
    this.#dropped = addDropped(this.#dropped, dropped).slice(-droppedMax);
    this.#options.events.recordsDropped(dropped.to - dropped.from + 1, dropped.reason);
    this.#options.listener.accountChanged();
    this.#isDirty = true;
  }

  async order({ device, from, to }: Omit<DropOrder, 'boot'>): Promise<void> {
    const { own, passed } = this.#numbering.of(device);
    const boot = passed?.boot ?? (own === undefined ? '' : this.boot);
    this.#orders = [...this.#orders, { device, boot, from, to }].slice(-ordersMax);
    this.#isDirty = true;
    if (!(await this.checkpoint())) throw noSpace();
  }

  numbersOf(device: string): DeviceNumbers {
    return this.#numbering.of(device);
  }

  account(atMs: number): AccountSource {
    const numbers = this.#numbering.numbers();
    return { atMs, boot: this.boot, numbers, dropped: this.#dropped };
  }

  told({ dropped }: AccountSource): void {
    if (dropped.length === 0) return;
    this.#dropped = this.#dropped.filter((one) => !dropped.includes(one));
    this.#isDirty = true;
  }

  /**
   * Marks first, then deletes what the marks say is not needed. False on a full disk, where what is sent is deleted all
   * the same: the marks would only spare that it is looked for in vain.
   */
  checkpoint(): Promise<boolean> {
    const checkpointed = this.#checkpointAfter(this.#checkpointing);
    this.#checkpointing = checkpointed;
    return checkpointed;
  }

  async #checkpointAfter(before: Promise<unknown>): Promise<boolean> {
    await before;
    this.#isDirty = false;
    const unsent = this.#unsent;
    const checkpoint = {
      version: 1 as const,
      boot: this.boot,
      next: this.#next,
      unsent: [...unsent],
      numbers: this.#numbering.numbers(),
      dropped: [...this.#dropped],
      orders: [...this.#orders],
    };
    const isWritten = await this.#writeMarks(checkpoint);
    await this.#removeSent(unsent);
    return isWritten;
  }

  async #writeMarks(checkpoint: Checkpoint): Promise<boolean> {
    const { directory, events } = this.#options;
    try {
      await this.#reserve.spendFor(() => writeCheckpoint(directory, checkpoint));
      return true;
    } catch (error) {
      if (!isNoSpace(error)) throw error;
      this.#isDirty = true;
      events.diskFull();
      return false;
    }
  }

  async #removeSent(unsent: Ranges): Promise<void> {
    const ends = this.#segments.slice(1).map(({ first }) => first);
    const removable = this.#segments
      .slice(0, -1)
      .filter(
        ({ first }, place) =>
          within(unsent, { from: first, to: ends[place] ?? first }).length === 0,
      );
    for (const segment of removable) await this.#remove(segment);
  }

  async #remove(segment: Segment): Promise<void> {
    this.#segments.splice(this.#segments.indexOf(segment), 1);
    this.#reader.forget(segment.path);
    await unlink(segment.path);
  }

  /** The policy `drop-oldest`: what goes is written down before it goes. */
  async #makeRoom(bytes: number): Promise<void> {
    while (this.bytes + bytes > this.#options.bytesMax && this.#segments.length > 1) {
      const [oldest] = this.#segments;
      if (!oldest) return;
      const end = this.#segments[1]?.first ?? this.#next;
      const limits = { recordsMax: Infinity, bytesMax: Infinity };
      const { records } = await new SegmentReader().read(
        oldest,
        { from: oldest.first, to: end },
        limits,
      );
      for (const { index, device, boot, seq } of records) {
        if (holds(this.#unsent, index) && seq >= 0)
          this.#drop({ device, boot, from: seq, to: seq, reason: 'store-full' });
      }
      this.#unsent = removeRange(this.#unsent, { from: oldest.first, to: end });
      if (!(await this.checkpoint())) throw noSpace();
      if (this.#segments[0] === oldest) await this.#remove(oldest);
    }
  }

  #tick(): void {
    const { events, fail } = this.#options;
    events.storeMeasured({ bytes: this.bytes, unsent: countOf(this.#unsent) });
    if (this.#isDirty) void this.#tidy().catch(fail);
  }

  async #tidy(): Promise<void> {
    if (await this.checkpoint()) await this.#reserve.fill();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    await this.#writing;
    await this.checkpoint();
    await this.#file?.close();
  }
}

function noSpace(cause?: unknown): PlatformError {
  return new PlatformError('STORE_FULL', 'Cannot keep readings: the disk is full', { cause });
}

function sizeOf({ reading }: Entry): number {
  const text = reading.kind === 'opaque' ? reading.bytes.length : reading.text.length;
  return text + recordOverheadBytes;
}
