import { stat, statfs } from 'node:fs/promises';
import { PlatformError } from '@domicile/core/errors.ts';
import type { AccountSource } from '../model/account.ts';
import { Arrivals } from '../model/arrivals.ts';
import { type DropOrder, type Dropped, addDropped, isOrdered } from '../model/dropped.ts';
import { type DeviceNumbers, Numbering } from '../model/numbering.ts';
import { type Ranges, addRange, boundRanges, holds, removeRange, within } from '../model/ranges.ts';
import type { StoredRecord } from '../model/record.ts';
import { type Checkpoint, unsentRangesMax } from '../model/recovery.ts';
import { type Batch, encodeBatch } from './batch.ts';
import { isNoSpace, writeCheckpoint } from './files.ts';
import type { FoundSegment, StoreOptions } from './open-store.ts';
import type { Reserve } from './reserve.ts';
import type { Segment } from './segment-file.ts';
import { Segments } from './segments.ts';
import type { Entry, ReadLimits, ReadPart, Store } from './store.ts';

/** What may wait for the disk; above it senders are held back. */
const waitingBytesMax = 16 * 1024 * 1024;
const batchBytesMax = 4 * 1024 * 1024;
/** Room that a record takes beside its text: head, names, number. */
const recordOverheadBytes = 256;
const ordersMax = 100;
const droppedMax = 10_000;
/** 2024: a file that is older was written by a clock that nobody had set. */
const earliestMs = 1_704_067_200_000;

interface Waiting {
  readonly entries: readonly Entry[];
  readonly bytes: number;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

export interface StoreParts {
  readonly state: Checkpoint;
  readonly segments: readonly FoundSegment[];
  readonly reserve: Reserve;
}

export class SegmentStore implements Store {
  readonly boot: string;
  readonly #options: StoreOptions;
  readonly #numbering: Numbering;
  readonly #segments: Segments;
  readonly #reserve: Reserve;
  readonly #arrivals = new Arrivals();
  #next: number;
  #unsent: Ranges;
  #dropped: readonly Dropped[];
  #orders: readonly DropOrder[];
  #waiting: Waiting[] = [];
  #waitingBytes = 0;
  readonly #turns: (() => void)[] = [];
  #writing: Promise<void> | undefined;
  #checkpointing: Promise<unknown> = Promise.resolve();
  #isDirty = false;
  readonly #explained = new Set<number>();
  #failure: unknown;
  #stopped = false;
  /** As it was last measured, less what was written since. */
  #freeBytes = Infinity;
  #tidying: Promise<void> = Promise.resolve();
  #sealing: Promise<void> = Promise.resolve();
  #timer: NodeJS.Timeout | undefined;

  private constructor(options: StoreOptions, { state, segments, reserve }: StoreParts) {
    this.#options = options;
    this.boot = state.boot;
    this.#next = state.next;
    this.#unsent = state.unsent;
    this.#dropped = state.dropped;
    this.#orders = state.orders;
    this.#numbering = new Numbering(state.numbers);
    this.#segments = new Segments(options.directory, [...segments]);
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
    await store.#measure();
    for (const [place, { mtimeMs }] of segments.entries())
      store.#arrivals.note(segments[place + 1]?.first ?? state.next, mtimeMs);
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
    return this.#segments.bytes;
  }

  get oldestUnsentAtMs(): number | undefined {
    const [oldest] = this.#unsent;
    return oldest && this.#arrivals.of(oldest.from);
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
    const asked = this.#waitingBytes + bytes;
    if (this.#options.whenFull === 'refuse' && this.#lackFor(asked) > 0)
      return new PlatformError('STORE_FULL', 'Cannot keep readings: the store is full');
    return undefined;
  }

  /** Bytes that are too many for the store's bounds; 0 or below: it has room. */
  #lackFor(bytes: number): number {
    const { bytesMax, freeBytesMin } = this.#options;
    return Math.max(this.bytes + bytes - bytesMax, freeBytesMin + bytes - this.#freeBytes);
  }

  /** Group commit: whatever came while the disk was busy goes into the next write. */
  async #write(): Promise<void> {
    // What arrives in the same turn shares the first write.
    await Promise.resolve();
    while (this.#waiting.length > 0) {
      this.#giveTurns();
      const taken = this.#take();
      try {
        await this.#writeBatch(taken);
        for (const { resolve } of taken) resolve();
      } catch (error) {
        for (const { reject } of taken) reject(error);
      }
    }
    this.#giveTurns();
    this.#writing = undefined;
  }

  #giveTurns(): void {
    for (const act of this.#turns.splice(0)) act();
  }

  /** A batch keeps the numbers that it began with, so nobody else may change them while it is written. */
  async #betweenBatches(action: () => void): Promise<void> {
    if (!this.#writing) {
      action();
      return;
    }
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#turns.push(() => {
      action();
      resolve();
    });
    await promise;
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
    if (this.#segments.active.bytes >= segmentBytesMax) await this.#rollOver();
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
    this.#arrivals.note(this.#next, this.#options.now());
    this.#next += batch.records.length;
    this.#isDirty = true;
    listener.appended(batch.records);
  }

  async #commit({ bytes }: Batch): Promise<void> {
    try {
      await this.#segments.write(bytes);
    } catch (error) {
      throw isNoSpace(error) ? noSpace(error) : this.#failed(error);
    }
    await this.#segments.sync(bytes.length).catch((error: unknown) => {
      throw this.#failed(error);
    });
    this.#freeBytes -= bytes.length;
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

  #roll(): Promise<void> {
    return this.#segments.roll(this.#next, {
      boot: this.boot,
      numbers: this.#numbering.numbers(),
    });
  }

  async read(from: number, to: number, limits: ReadLimits): Promise<ReadPart> {
    const place = this.#segments.at(from);
    if (!place) return { records: [], next: Math.min(to, this.#segments.first ?? to) };
    // Taken before the wait: what is appended meanwhile is not what this read answers for.
    const segmentEnd = place.end ?? this.#next;
    const part = await this.#segments.read(from, to, limits);
    if (part.damaged) await this.#explain(place.segment);
    return { records: part.records, next: Math.min(to, part.next ?? segmentEnd) };
  }

  /** Once for each segment: what it lost is in the account, or at least counted. */
  async #explain({ first }: Segment): Promise<void> {
    if (this.#explained.has(first)) return;
    this.#explained.add(first);
    const damage = await this.#segments.damageAt(first);
    this.#dropped = damage.dropped.reduce(addDropped, this.#dropped).slice(-droppedMax);
    this.#isDirty = true;
    this.#options.events.recordsUnreadable(damage.unreadable);
    if (damage.dropped.length > 0) this.#options.listener.accountChanged();
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

  async adopt({ boot, numbers, dropped }: AccountSource): Promise<void> {
    await this.#betweenBatches(() => this.#numbering.adopt(boot, numbers));
    this.#dropped = dropped.reduce(addDropped, this.#dropped).slice(-droppedMax);
    this.#isDirty = true;
    if (!(await this.checkpoint())) throw noSpace();
    this.#options.listener.accountChanged();
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
    await this.#removeSent(checkpoint);
    this.#arrivals.forgetBelow(unsent[0]?.from ?? this.#next);
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

  /** Of what came after the marks they do not know whether it is sent: it may be closed by now. */
  async #removeSent({ unsent, next }: Pick<Checkpoint, 'unsent' | 'next'>): Promise<void> {
    for (const { segment, end } of this.#segments.closed())
      if (end <= next && within(unsent, { from: segment.first, to: end }).length === 0)
        await this.#segments.remove(segment);
  }

  /** The policy `drop-oldest`: what goes is written down before it goes. */
  async #makeRoom(bytes: number): Promise<void> {
    while (this.#lackFor(bytes) > 0) {
      const [oldest] = this.#segments.closed();
      if (!oldest) break;
      await this.#dropSegment(oldest, 'store-full');
      await this.#measure();
    }
    if (this.#options.freeBytesMin + bytes > this.#freeBytes) throw noSpace();
  }

  async #dropSegment(
    { segment, end }: { segment: Segment; end: number },
    reason: 'store-full' | 'too-old',
  ): Promise<void> {
    const { events, listener } = this.#options;
    const records = await this.#segments.readAll(segment, end);
    const gone = records.filter(({ index, seq }) => seq >= 0 && holds(this.#unsent, index));
    for (const { device, boot, seq } of gone)
      this.#dropped = addDropped(this.#dropped, { device, boot, from: seq, to: seq, reason });
    this.#dropped = this.#dropped.slice(-droppedMax);
    if (gone.length > 0) {
      events.recordsDropped(gone.length, reason);
      listener.accountChanged();
    }
    this.#unsent = removeRange(this.#unsent, { from: segment.first, to: end });
    if (!(await this.checkpoint())) throw noSpace();
    await this.#segments.remove(segment);
  }

  /** Only an operator's word drops what is old: without `ageMaxMs` it waits for ever. */
  async #dropOld(): Promise<void> {
    const { ageMaxMs, now } = this.#options;
    if (ageMaxMs === undefined) return;
    for (const one of this.#segments.closed()) {
      const { mtimeMs } = await stat(one.segment.path);
      // Written before the clock was known: its age is not.
      if (mtimeMs < earliestMs || now() - mtimeMs < ageMaxMs) return;
      await this.#dropSegment(one, 'too-old');
    }
  }

  async #measure(): Promise<void> {
    const { bavail, bsize } = await statfs(this.#options.directory);
    this.#freeBytes = bavail * bsize;
  }

  #tick(): void {
    const { fail } = this.#options;
    this.#tidying = this.#tidying.then(() => this.#tidy()).catch(fail);
  }

  async #tidy(): Promise<void> {
    if (this.#stopped) return;
    if (this.#isDirty && (await this.checkpoint())) await this.#reserve.fill();
    await this.#measure();
    await this.#dropOld();
    // Marks do not wait for it: after an outage there may be minutes of it.
    this.#sealing = this.#segments.seal(() => this.#stopped).catch(this.#options.fail);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    this.#stopped = true;
    await this.#writing;
    await this.#tidying;
    await this.#sealing;
    await this.checkpoint();
    await this.#segments[Symbol.asyncDispose]();
  }
}

function noSpace(cause?: unknown): PlatformError {
  return new PlatformError('STORE_FULL', 'Cannot keep readings: the disk is full', { cause });
}

function sizeOf({ reading }: Entry): number {
  const text = reading.kind === 'opaque' ? reading.bytes.length : reading.text.length;
  return text + recordOverheadBytes;
}
