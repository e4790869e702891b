import type { AccountEntry, AccountRecord } from '@domicile/core/account.ts';
import type { LatestRecord } from '@domicile/core/latest.ts';
import type { Reading } from '@domicile/core/reading.ts';
import { AccountChanges } from './account-changes.ts';
import { BuildingWindows, type EncodedWindows } from './building-windows.ts';
import { DeviceLatest, type EncodedLatest } from './device-latest.ts';
import {
  DeviceNumbers,
  type EncodedNumbers,
  type NumberedReading,
  type NumberVerdict,
} from './numbering.ts';

/** An account is told at most so often, in record time, and at every tick. */
export const accountEveryMs = 5_000;
/** An account with so many changes is told at once. */
export const accountEntriesMax = 4_096;
/** Undeclared devices that the account of a building names; the others are counted as its gateway's. */
export const strangersPerBuildingMax = 256;

export type EncodedBuilding = readonly [
  id: string,
  clockMs: number,
  accountToldAtMs: number,
  strangers: readonly string[],
  numbers: readonly (readonly [device: string, numbers: EncodedNumbers])[],
  latest: readonly (readonly [device: string, latest: EncodedLatest])[],
  windows: EncodedWindows,
  account: readonly AccountEntry[],
];

/** Everything that a partition knows of one building. */
export class BuildingState {
  readonly id: string;
  readonly windows: BuildingWindows;
  readonly account = new AccountChanges();
  /** The newest of its readings, by the earlier of measurement and receipt: a clock that runs ahead moves nothing. */
  clockMs = 0;
  #accountToldAtMs = 0;
  readonly #strangers = new Set<string>();
  readonly #numbers = new Map<string, DeviceNumbers>();
  readonly #latest = new Map<string, DeviceLatest>();
  readonly #latestChanged = new Set<string>();

  constructor(id: string, windows = new BuildingWindows(id)) {
    this.id = id;
    this.windows = windows;
  }

  judge(device: string, number: NumberedReading): NumberVerdict {
    return this.#numbers.get(device)?.judge(number) ?? 'new';
  }

  numbersOf(device: string): DeviceNumbers {
    let numbers = this.#numbers.get(device);
    if (numbers === undefined) this.#numbers.set(device, (numbers = new DeviceNumbers()));
    return numbers;
  }

  take(reading: Reading, offset: number): void {
    const { device, boot, seq, measuredAtMs, receivedAtMs } = reading;
    this.clockMs = Math.max(this.clockMs, Math.min(measuredAtMs, receivedAtMs));
    this.windows.take(reading, offset);
    let latest = this.#latest.get(device);
    if (latest === undefined) this.#latest.set(device, (latest = new DeviceLatest()));
    if (latest.take(reading, offset)) this.#latestChanged.add(device);
    this.account.received(device, boot, { seq, atMs: measuredAtMs });
  }

  hasStranger(device: string): boolean {
    return this.#strangers.has(device);
  }

  /** @returns whether there was room to remember it. */
  noteStranger(device: string): boolean {
    if (this.#strangers.size >= strangersPerBuildingMax) return false;
    this.#strangers.add(device);
    return true;
  }

  drainLatest(): LatestRecord[] {
    const records: LatestRecord[] = [];
    for (const device of this.#latestChanged) {
      const latest = this.#latest.get(device);
      if (latest !== undefined) records.push(latest.record(this.id, device));
    }
    this.#latestChanged.clear();
    return records;
  }

  isAccountDue(recordMs: number): boolean {
    if (this.account.entryCount >= accountEntriesMax) return true;
    return !this.account.isEmpty && recordMs - this.#accountToldAtMs >= accountEveryMs;
  }

  drainAccount(recordMs: number): AccountRecord[] {
    if (this.account.isEmpty) return [];
    this.#accountToldAtMs = recordMs;
    return this.account.drain(this.id);
  }

  encode(): EncodedBuilding {
    return [
      this.id,
      this.clockMs,
      this.#accountToldAtMs,
      [...this.#strangers],
      [...this.#numbers].map(([device, numbers]) => [device, numbers.encode()] as const),
      [...this.#latest].map(([device, latest]) => [device, latest.encode()] as const),
      this.windows.encode(),
      this.account.entries(),
    ];
  }

  static decode(encoded: EncodedBuilding): BuildingState {
    const [id, clockMs, accountToldAtMs, strangers, numbers, latest, windows, account] = encoded;
    const state = new BuildingState(id, BuildingWindows.decode(id, windows));
    state.clockMs = clockMs;
    state.#accountToldAtMs = accountToldAtMs;
    for (const device of strangers) state.#strangers.add(device);
    for (const [device, one] of numbers) state.#numbers.set(device, DeviceNumbers.decode(one));
    for (const [device, one] of latest) state.#latest.set(device, DeviceLatest.decode(one));
    for (const entry of account) state.account.add(entry);
    return state;
  }
}
