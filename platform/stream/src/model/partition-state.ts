/**
 * The state of one partition and its fold. The state is a function of the readings and journals of its commits alone, in the
 * order in which they were written, so whoever reads those has the same state.
 */
import type { AccountRecord } from '@domicile/core/account.ts';
import { assert } from '@domicile/core/invariants.ts';
import type { LatestRecord } from '@domicile/core/latest.ts';
import type { Reading } from '@domicile/core/reading.ts';
import type { SummaryRecord } from '@domicile/core/summary.ts';
import { BuildingState, type EncodedBuilding } from './building-state.ts';
import { watermarkDelayMs } from './building-windows.ts';
import type { Journal } from './journal.ts';

/** A reading and where it stands in `readings`. */
export interface PlacedReading {
  readonly reading: Reading;
  readonly offset: number;
}

/** What a commit tells beside its readings. */
export interface Told {
  readonly summaries: readonly SummaryRecord[];
  readonly latest: readonly LatestRecord[];
  readonly account: readonly AccountRecord[];
}

export interface EncodedState {
  readonly version: typeof stateVersion;
  readonly commit: number;
  readonly inputs: Readonly<Record<string, number>>;
  readonly recordMs: number;
  readonly tickMs: number;
  readonly buildings: readonly EncodedBuilding[];
}

/** Of the snapshot's format. */
export const stateVersion = 1;

export class PartitionState {
  #commit = 0;
  #inputs: Record<string, number> = {};
  #recordMs = 0;
  #tickMs = 0;
  readonly #buildings = new Map<string, BuildingState>();

  /** Of the last commit folded; 0 before the first. */
  get commit(): number {
    return this.#commit;
  }

  /** Stream → next offset to read. */
  get inputs(): Readonly<Record<string, number>> {
    return this.#inputs;
  }

  /** The newest record timestamp seen. */
  get recordMs(): number {
    return this.#recordMs;
  }

  /** Made when first asked for. */
  building(id: string): BuildingState {
    let found = this.#buildings.get(id);
    if (found === undefined) this.#buildings.set(id, (found = new BuildingState(id)));
    return found;
  }

  holds(building: string): boolean {
    return this.#buildings.has(building);
  }

  /** Before a fold of what was committed elsewhere: a live commit took its numbers when it refined. */
  takeNumbers(readings: readonly PlacedReading[]): void {
    for (const { reading } of readings) {
      const { building, device, boot, seq, measuredAtMs } = reading;
      if (boot !== null && seq !== null)
        this.building(building).numbersOf(device).take(boot, seq, measuredAtMs);
    }
  }

  /** Takes the next commit in; its readings in the order of their offsets. */
  fold(journal: Journal, readings: readonly PlacedReading[]): Told {
    assert(journal.commit === this.#commit + 1, 'commits are folded one after another');
    this.#commit = journal.commit;
    this.#inputs = { ...this.#inputs, ...journal.inputs };
    this.#recordMs = Math.max(this.#recordMs, journal.recordMs);
    const touched = new Set<BuildingState>();
    for (const { reading, offset } of readings) {
      const building = this.building(reading.building);
      building.take(reading, offset);
      touched.add(building);
    }
    for (const { building: id, entries } of journal.account) {
      const building = this.building(id);
      for (const entry of entries) building.account.add(entry);
      touched.add(building);
    }
    for (const [building, device] of journal.strangers)
      this.building(building).noteStranger(device);
    const isTick = journal.tickMs > this.#tickMs;
    if (isTick) this.#tickMs = journal.tickMs;
    // First, so that nothing more is told of them.
    for (const id of journal.forgotten ?? []) {
      const building = this.#buildings.get(id);
      if (building) touched.delete(building);
      this.#buildings.delete(id);
    }
    return this.#tell(isTick ? this.#buildings.values() : touched, isTick);
  }

  encode(): EncodedState {
    return {
      version: stateVersion,
      commit: this.#commit,
      inputs: this.#inputs,
      recordMs: this.#recordMs,
      tickMs: this.#tickMs,
      buildings: [...this.#buildings.values()].map((building) => building.encode()),
    };
  }

  static decode(encoded: EncodedState): PartitionState {
    const state = new PartitionState();
    state.#commit = encoded.commit;
    state.#inputs = { ...encoded.inputs };
    state.#recordMs = encoded.recordMs;
    state.#tickMs = encoded.tickMs;
    for (const building of encoded.buildings)
      state.#buildings.set(building[0], BuildingState.decode(building));
    return state;
  }

  #tell(buildings: Iterable<BuildingState>, isTick: boolean): Told {
    const told: { summaries: SummaryRecord[]; latest: LatestRecord[]; account: AccountRecord[] } = {
      summaries: [],
      latest: [],
      account: [],
    };
    for (const building of buildings) {
      const watermarkMs = Math.max(building.clockMs, this.#tickMs) - watermarkDelayMs;
      push(told.summaries, building.windows.told(watermarkMs, this.#recordMs));
      push(told.latest, building.drainLatest());
      if (isTick || building.isAccountDue(this.#recordMs))
        push(told.account, building.drainAccount(this.#recordMs));
    }
    return told;
  }
}

function push<One>(all: One[], more: readonly One[]): void {
  for (const one of more) all.push(one);
}
