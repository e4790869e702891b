import { createHash } from 'node:crypto';
import {
  accountDataKey,
  type LandedAccountData,
  type LandedAccountSnapshot,
  padded,
  parseAccountData,
} from './model/landed-account.ts';
import {
  changed,
  type LandedChanges,
  type LandedDay,
  type Minutes,
} from './model/landed-changes.ts';
import type { ObjectStore } from './object-store.ts';

/** Days that are kept between rounds. */
const daysKept = 2_000;

/** The days of the account of landed readings, as objects that are created once. */
export class LandedDays {
  readonly #store: ObjectStore;
  readonly #kept = new Map<string, LandedDay>();

  constructor(store: ObjectStore) {
    this.#store = store;
  }

  /** What is kept belongs to a snapshot that is not followed any more. */
  forget(): void {
    this.#kept.clear();
  }

  /** Writes the changed days for `draft` and names them there. */
  async write(draft: LandedAccountSnapshot, changes: LandedChanges): Promise<void> {
    const days: LandedAccountData['days'] = [];
    for (const change of changes.days()) {
      const { building, dayMs } = change;
      const before = await this.#dayOf(draft, building, dayMs);
      const landed = changed(before.landed, change.landed);
      const expired = changed(before.expired, change.expired);
      this.#kept.set(`${building} ${dayMs}`, { landed, expired });
      const told = { building, dayMs, minutes: rising(landed) };
      days.push(expired.size === 0 ? told : { ...told, expired: rising(expired) });
    }
    if (days.length === 0) return;
    const name = await this.#create(draft.number, { days });
    for (const { building, dayMs } of days) (draft.days[building] ??= {})[`${dayMs}`] = name;
    for (const oldest of this.#kept.keys()) {
      if (this.#kept.size <= daysKept) break;
      this.#kept.delete(oldest);
    }
  }

  /** Named by its content too: one that a killed auditor left is not in the way. */
  async #create(number: number, data: LandedAccountData): Promise<string> {
    const content = Buffer.from(JSON.stringify(data));
    const digest = createHash('sha256').update(content).digest('hex').slice(0, 16);
    const name = `${padded(number)}-${digest}`;
    await this.#store.createOnly(accountDataKey(name), content);
    return name;
  }

  async #dayOf(draft: LandedAccountSnapshot, building: string, dayMs: number): Promise<LandedDay> {
    const kept = this.#kept.get(`${building} ${dayMs}`);
    if (kept) return kept;
    const name = draft.days[building]?.[`${dayMs}`];
    const content = name === undefined ? undefined : await this.#store.get(accountDataKey(name));
    const day = content
      ? parseAccountData(content).days.find(
          (one) => one.building === building && one.dayMs === dayMs,
        )
      : undefined;
    return { landed: new Map(day?.minutes), expired: new Map(day?.expired) };
  }
}

function rising(minutes: Minutes): [number, number][] {
  return [...minutes].toSorted(([a], [b]) => a - b);
}
