import { type AccountEntry, type AccountRecord, accountWindowMs } from '@domicile/core/account.ts';
import type { AccountRow, AccountTotals } from '@domicile/core/answers/serving.ts';
import { accountRowOf, Numbering } from './numbering.ts';
import type { Period } from './period.ts';

interface BuildingAccount {
  /** By device and boot. */
  readonly numberings: Map<string, { device: string; boot: string; numbering: Numbering }>;
  /** Readings without a number, by minute. */
  readonly unnumbered: Map<number, number>;
  readonly unreadable: Map<number, number>;
}

export interface AccountOfPeriod {
  readonly totals: Omit<AccountTotals, 'landed' | 'expired'>;
  readonly rows: readonly AccountRow[];
}

/** The loss account of every building, as its records add up. */
export class AccountBook {
  readonly #buildings = new Map<string, BuildingAccount>();

  take({ building, entries }: AccountRecord): void {
    const account = this.#accountOf(building);
    for (const entry of entries) {
      const minute = Math.floor(entry.windowStartMs / accountWindowMs);
      addTo(account.unnumbered, minute, entry.unnumbered);
      addTo(account.unreadable, minute, entry.unreadable);
      if (entry.boot !== null) numberingOf(account, entry, entry.boot).take(entry);
    }
  }

  /** Whole minutes of event time. */
  within(building: string, period: Period): AccountOfPeriod {
    const account = this.#buildings.get(building);
    const rows: AccountRow[] = [];
    const totals = {
      expected: 0,
      received: 0,
      duplicates: 0,
      quarantined: 0,
      missing: 0,
      unnumbered: sumOf(account?.unnumbered, period),
      unreadable: sumOf(account?.unreadable, period),
    };
    for (const { device, boot, numbering } of account?.numberings.values() ?? []) {
      const part = numbering.within(period);
      const row = accountRowOf(device, boot, part);
      if (row) rows.push(row);
      totals.received += part.received;
      totals.quarantined += part.quarantined;
      totals.duplicates += part.duplicates;
      for (const [first, last] of part.missing) totals.missing += last - first + 1;
    }
    totals.expected = totals.received + totals.quarantined + totals.missing;
    return { totals, rows };
  }

  #accountOf(building: string): BuildingAccount {
    const present = this.#buildings.get(building);
    if (present) return present;
    const account = { numberings: new Map(), unnumbered: new Map(), unreadable: new Map() };
    this.#buildings.set(building, account);
    return account;
  }
}

function numberingOf(account: BuildingAccount, { device }: AccountEntry, boot: string): Numbering {
  const key = `${device} ${boot}`;
  const present = account.numberings.get(key);
  if (present) return present.numbering;
  const numbering = new Numbering();
  account.numberings.set(key, { device, boot, numbering });
  return numbering;
}

function addTo(counts: Map<number, number>, minute: number, count: number): void {
  if (count > 0) counts.set(minute, (counts.get(minute) ?? 0) + count);
}

function sumOf(counts: ReadonlyMap<number, number> | undefined, { fromMs, toMs }: Period): number {
  const from = Math.floor(fromMs / accountWindowMs);
  const to = Math.ceil(toMs / accountWindowMs);
  let sum = 0;
  for (const [minute, count] of counts ?? []) if (minute >= from && minute < to) sum += count;
  return sum;
}
