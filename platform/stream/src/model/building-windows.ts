/** The windows of one building: opened by its readings, closed by its watermark, given up a while after. */
import type { Reading } from '@domicile/core/reading.ts';
import { type SummaryRecord, windowMs } from '@domicile/core/summary.ts';
import { type EncodedContent, type Part, WindowContent } from './window-content.ts';
import { windowStartMs } from './window.ts';

/** How far the watermark stays behind the newest reading. */
export const watermarkDelayMs = 30_000;
/** How long after its end, by the watermark, a window can still be revised. Later readings go out as partials. */
export const windowKeepMs = 120_000;
/**
 * Rooms, floors and the building of an open window are told at most so often, in record time: as often as devices speak,
 * so that hardly anything is told of which nothing is new.
 */
export const openWindowEveryMs = 10_000;

interface KeptWindow {
  readonly startMs: number;
  revision: number;
  isClosed: boolean;
  /** Record time at which it was last told while open. */
  toldAtMs: number;
  readonly content: WindowContent;
}

export type EncodedWindow = readonly [
  startMs: number,
  revision: number,
  isClosed: 0 | 1,
  toldAtMs: number,
  content: EncodedContent,
];
export type EncodedWindows = readonly [givenUpToMs: number, windows: readonly EncodedWindow[]];

const never = 0;

export class BuildingWindows {
  readonly #building: string;
  readonly #kept = new Map<number, KeptWindow>();
  /** Late readings of the commit in progress, by window. */
  #late = new Map<number, WindowContent>();
  /** Windows that end here or before are given up, whether they were ever open or not. */
  #givenUpToMs = never;

  constructor(building: string) {
    this.#building = building;
  }

  get isEmpty(): boolean {
    return this.#kept.size === 0;
  }

  take(reading: Reading, offset: number): void {
    const startMs = windowStartMs(reading.measuredAtMs, windowMs);
    if (startMs + windowMs <= this.#givenUpToMs) {
      let late = this.#late.get(startMs);
      if (late === undefined) this.#late.set(startMs, (late = new WindowContent()));
      late.take(reading, offset);
      return;
    }
    let window = this.#kept.get(startMs);
    if (window === undefined) {
      const content = new WindowContent();
      window = { startMs, revision: 0, isClosed: false, toldAtMs: never, content };
      this.#kept.set(startMs, window);
    }
    window.content.take(reading, offset);
  }

  /**
   * What is to be told now that the commit's readings are in.
   * @param watermarkMs never falls
   * @param recordMs the newest record timestamp of the partition
   */
  told(watermarkMs: number, recordMs: number): SummaryRecord[] {
    const records: SummaryRecord[] = [];
    for (const [startMs, content] of this.#late)
      for (const part of content.allParts(this.#building))
        records.push(this.#record(startMs, part, { offset: part.firstOffset }));
    if (this.#late.size > 0) this.#late = new Map();

    for (const window of this.#kept.values()) {
      const endMs = window.startMs + windowMs;
      const isClosing = !window.isClosed && endMs <= watermarkMs;
      if (isClosing) {
        window.isClosed = true;
        window.content.markChanged(); // what was told while it was open is told again as final
      }
      if (window.isClosed && window.content.isChanged)
        this.#tell(window, window.content.allParts(this.#building), records);
      if (isClosing) window.content.close();
      else if (isOpenDue(window, recordMs)) {
        window.toldAtMs = recordMs;
        this.#tell(window, window.content.roomParts(this.#building), records);
      }
      if (endMs + windowKeepMs <= watermarkMs) this.#kept.delete(window.startMs);
    }
    this.#givenUpToMs = Math.max(this.#givenUpToMs, watermarkMs - windowKeepMs);
    return records;
  }

  encode(): EncodedWindows {
    const windows = [...this.#kept.values()].map((one): EncodedWindow => [
      one.startMs,
      one.revision,
      one.isClosed ? 1 : 0,
      one.toldAtMs,
      one.content.encode(),
    ]);
    return [this.#givenUpToMs, windows];
  }

  static decode(building: string, [givenUpToMs, kept]: EncodedWindows): BuildingWindows {
    const windows = new BuildingWindows(building);
    windows.#givenUpToMs = givenUpToMs;
    for (const [startMs, revision, isClosed, toldAtMs, content] of kept)
      windows.#kept.set(startMs, {
        startMs,
        revision,
        toldAtMs,
        isClosed: isClosed === 1,
        content: WindowContent.decode(content),
      });
    return windows;
  }

  #tell(window: KeptWindow, parts: readonly Part[], records: SummaryRecord[]): void {
    if (parts.length === 0) return;
    window.revision += 1;
    for (const part of parts) records.push(this.#record(window.startMs, part, window));
  }

  #record(
    startMs: number,
    { level, id, metrics }: Part,
    of: { offset: number } | KeptWindow,
  ): SummaryRecord {
    const place = { building: this.#building, windowStartMs: startMs, level, id };
    return 'offset' in of
      ? { ...place, kind: 'partial', revision: 0, final: true, offset: of.offset, metrics }
      : {
          ...place,
          kind: 'window',
          revision: of.revision,
          final: of.isClosed,
          offset: -1,
          metrics,
        };
  }
}

function isOpenDue({ isClosed, content, toldAtMs }: KeptWindow, recordMs: number): boolean {
  return !isClosed && content.isChanged && recordMs - toldAtMs >= openWindowEveryMs;
}
