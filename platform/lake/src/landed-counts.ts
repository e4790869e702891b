import {
  accountDataKey,
  accountSnapshotKey,
  daysIn,
  emptyAccount,
  landedAccountFolder,
  type LandedAccountData,
  type LandedAccountSnapshot,
  parseAccountData,
  parseAccountPointer,
  parseAccountSnapshot,
  timeOfMinute,
} from './model/landed-account.ts';
import type { ObjectStore } from './object-store.ts';

/** How many readings of a building are in the landing zone or were until their retention ended, by the minute in which they were measured. */
export interface LandedCounts {
  /** Of the minutes that begin in [fromMs, toMs). */
  readonly landed: number;
  /** Of the same minutes: readings that had landed and whose files went by retention. */
  readonly expired: number;
  /** Minute, Unix milliseconds → readings that are landed. */
  readonly byMinute: ReadonlyMap<number, number>;
  /** When announced and present objects were last compared, Unix milliseconds; null: never. */
  readonly verifiedAtMs: number | null;
}

/** Objects kept by one reader. */
const objectsKept = 500;

/**
 * Reads `serving/account/landed/v1/`, which the lander's audit keeps: the reader needs no right to the landing zone.
 * A landed object that is gone or altered no longer counts.
 */
export class LandedCountsReader {
  readonly #store: ObjectStore;
  readonly #data = new Map<string, LandedAccountData>();
  #snapshot: LandedAccountSnapshot = emptyAccount;

  constructor(store: ObjectStore) {
    this.#store = store;
  }

  async read(of: { building: string; fromMs: number; toMs: number }): Promise<LandedCounts> {
    const { building, fromMs, toMs } = of;
    const verifiedAtMs = await this.#follow();
    const snapshot = this.#snapshot;
    const byMinute = new Map<number, number>();
    let landed = 0;
    let expired = 0;
    for (const dayMs of daysIn(fromMs, toMs)) {
      const name = snapshot.days[building]?.[`${dayMs}`];
      if (name === undefined) continue;
      const { days } = await this.#dataOf(name);
      const day = days.find((one) => one.building === building && one.dayMs === dayMs);
      const isAsked = ([minute]: readonly [number, number]): boolean => {
        const timeMs = timeOfMinute(dayMs, minute);
        return timeMs >= fromMs && timeMs < toMs;
      };
      for (const [minute, readings] of day?.minutes.filter(isAsked) ?? []) {
        byMinute.set(timeOfMinute(dayMs, minute), readings);
        landed += readings;
      }
      for (const [, readings] of day?.expired?.filter(isAsked) ?? []) expired += readings;
    }
    return { landed, expired, byMinute, verifiedAtMs };
  }

  async #follow(): Promise<number | null> {
    const pointer = await this.#store.get(`${landedAccountFolder}latest.json`);
    if (!pointer) return null;
    const { number, verifiedAtMs } = parseAccountPointer(pointer);
    if (number > this.#snapshot.number) {
      const content = await this.#store.get(accountSnapshotKey(number));
      if (content) this.#snapshot = parseAccountSnapshot(content);
    }
    return verifiedAtMs;
  }

  async #dataOf(name: string): Promise<LandedAccountData> {
    const kept = this.#data.get(name);
    if (kept) return kept;
    const content = await this.#store.get(accountDataKey(name));
    const data = content ? parseAccountData(content) : { days: [] };
    if (content) this.#data.set(name, data);
    const [oldest] = this.#data.keys();
    if (this.#data.size > objectsKept && oldest !== undefined) this.#data.delete(oldest);
    return data;
  }
}
