/** What property tests of the fold share: seeded histories, a task without Kafka, and what readers make of its outputs. */
import type { AccountEntry, AccountRecord } from '@domicile/core/account.ts';
import { addValue, type Aggregate, emptyAggregate } from '@domicile/core/aggregate.ts';
import type { BuildingRecord } from '@domicile/core/building.ts';
import { builtInDeviceTypes } from '@domicile/core/device-types.ts';
import type { LatestRecord } from '@domicile/core/latest.ts';
import type { QuarantineEntry } from '@domicile/core/quarantine.ts';
import { numericValue } from '@domicile/core/reading.ts';
import { tickSchema } from '@domicile/core/streams.ts';
import {
  emptyWindow,
  type MergedWindow,
  metricsOf,
  type SummaryRecord,
  takeRecord,
  windowMs,
} from '@domicile/core/summary.ts';
import { CommitDraft, type Received } from './commit-draft.ts';
import { type Journal, offsetRanges } from './journal.ts';
import { PartitionState, type PlacedReading, type Told } from './partition-state.ts';
import { refine } from './refine.ts';
import { type KnownBuilding, knownBuilding } from './registry.ts';

/** Mulberry32: the same seed gives the same numbers from 0 to 1. */
export function dice(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

export function shuffled<One>(ones: readonly One[], random: () => number): One[] {
  const mixed = [...ones];
  for (let at = mixed.length - 1; at > 0; at -= 1) {
    const other = Math.floor(random() * (at + 1));
    const [a, b] = [mixed[at], mixed[other]];
    if (a !== undefined && b !== undefined) {
      mixed[at] = b;
      mixed[other] = a;
    }
  }
  return mixed;
}

export function testBuilding(id: string, moveAtMs: number): BuildingRecord {
  const devices = Array.from({ length: 6 }, (_, index) => {
    const place = { floor: `${(index % 2) + 1}`, room: `r${index % 3}`, type: 'thermostat' };
    const moved = { ...place, room: 'r9', floor: '2', validFromMs: moveAtMs };
    const first = { ...place, validFromMs: null };
    return { id: `d${index}`, placements: index === 0 ? [first, moved] : [first] };
  });
  return {
    id,
    country: 'DE',
    client: 'acme',
    name: null,
    timeZone: 'Europe/Berlin',
    state: 'active',
    deviceTypes: builtInDeviceTypes,
    devices,
    passwordHash: null,
  };
}

/** A reading as a device has it, before anything happens to it. */
export interface Measured {
  readonly building: string;
  readonly device: string;
  readonly boot: string;
  readonly seq: number;
  readonly atMs: number;
  readonly values: Readonly<Record<string, number | boolean | string>>;
}

export type Sent = Measured | { readonly tick: true };

/** A task without Kafka: offsets are made up, with gaps as markers leave them, and everything passes through JSON. */
export class SimulatedTask {
  state = new PartitionState();
  readonly journals: Journal[] = [];
  readonly readings: PlacedReading[] = [];
  readonly told: Told[] = [];
  readonly quarantined: QuarantineEntry[] = [];
  readonly #known: ReadonlyMap<string, KnownBuilding>;
  #nextOffset = 0;
  #nextInput = 0;

  constructor(buildings: readonly BuildingRecord[]) {
    this.#known = new Map(buildings.map((record) => [record.id, knownBuilding(record)]));
  }

  /** One commit of records that were received at `receivedAtMs`. */
  commit(sent: readonly Sent[], receivedAtMs: number): void {
    const draft = new CommitDraft();
    for (const one of sent) {
      const received = receivedOf(one, this.#nextInput, receivedAtMs);
      this.#nextInput += 1;
      refine({ known: this.#known, state: this.state, draft }, received);
    }
    const offsets = draft.readings.map(() => BigInt(this.#nextOffset++));
    this.#nextOffset += 1;
    const journal: Journal = passed({
      commit: this.state.commit + 1,
      inputs: { telemetry: this.#nextInput },
      readings: offsetRanges(offsets),
      recordMs: draft.recordMs,
      tickMs: draft.tickMs,
      account: draft.accountRecords(),
      strangers: draft.strangers,
      snapshot: null,
    });
    const placed = draft.readings.map((reading, index) => ({
      reading,
      offset: Number(offsets[index]),
    }));
    this.told.push(passed(this.state.fold(journal, placed)));
    this.journals.push(journal);
    for (const one of passed(placed)) this.readings.push(one);
    this.quarantined.push(...draft.quarantined);
  }

  /** The readings that a journal names. */
  readingsOf({ readings }: Journal): PlacedReading[] {
    return this.readings.filter(({ offset }) =>
      readings.some(([first, last]) => offset >= first && offset <= last),
    );
  }
}

function receivedOf(sent: Sent, offset: number, receivedAtMs: number): Received {
  const isTick = 'tick' in sent;
  const payload = isTick
    ? {}
    : { boot: sent.boot, seq: sent.seq, at: sent.atMs, values: sent.values };
  return {
    stream: 'telemetry',
    partition: 0,
    offset,
    receivedAtMs,
    building: isTick ? 'tick' : sent.building,
    device: isTick ? '' : sent.device,
    schema: isTick ? tickSchema : 'telemetry/1',
    value: Buffer.from(JSON.stringify(payload)),
  };
}

/** As if it had been written and read. */
export function passed<Value>(value: Value): Value {
  const text = JSON.stringify(value);
  const read: Value = JSON.parse(text);
  return read;
}

/** Window, level and id → what a reader makes of all summaries. */
export function mergedWindows(told: readonly Told[]): Map<string, MergedWindow> {
  const windows = new Map<string, MergedWindow>();
  const records: SummaryRecord[] = told.flatMap(({ summaries }) => [...summaries]);
  for (const record of records) {
    const key = [record.building, record.windowStartMs, record.level, record.id].join(' ');
    const merged = windows.get(key) ?? emptyWindow();
    windows.set(key, merged);
    takeRecord(merged, record);
  }
  return windows;
}

/** With the metric: its aggregate. */
export function mergedSummaries(told: readonly Told[]): Map<string, Aggregate> {
  const windows = mergedWindows(told);
  const all = new Map<string, Aggregate>();
  for (const [key, merged] of windows)
    for (const [metric, { aggregate }] of metricsOf(merged)) all.set(`${key} ${metric}`, aggregate);
  return all;
}

/** The same from the readings themselves, the slow and plain way. */
export function recomputed(
  measured: readonly Measured[],
  buildings: readonly BuildingRecord[],
): Map<string, Aggregate> {
  const all = new Map<string, Aggregate>();
  for (const one of measured) {
    for (const thing of thingsOf(one, buildings)) {
      for (const [metric, value] of numbersOf(one)) {
        const aggregate = all.get(`${thing} ${metric}`) ?? emptyAggregate();
        addValue(aggregate, value);
        all.set(`${thing} ${metric}`, aggregate);
      }
    }
  }
  return all;
}

function numbersOf({ values }: Measured): [metric: string, value: number][] {
  return Object.entries(values).flatMap(([metric, value]): [string, number][] => {
    const number = numericValue(value);
    return number === null ? [] : [[metric, number]];
  });
}

/** Building, window, level and id of everything that a reading counts for. */
function thingsOf(
  { building, device, atMs }: Measured,
  buildings: readonly BuildingRecord[],
): string[] {
  const declared = buildings.find(({ id }) => id === building)?.devices ?? [];
  const placements = declared.find(({ id }) => id === device)?.placements ?? [];
  const place =
    placements.findLast(({ validFromMs }) => validFromMs === null || validFromMs <= atMs) ??
    placements[0];
  const window = `${building} ${Math.floor(atMs / windowMs) * windowMs}`;
  return [
    `${window} building ${building}`,
    `${window} floor ${place?.floor}`,
    `${window} room ${place?.room}`,
    `${window} device ${device}`,
  ];
}

/** What a reader of the compacted stream sees. */
export function lastLatest(told: readonly Told[]): Map<string, LatestRecord> {
  const records = told.flatMap(({ latest }) => [...latest]);
  return new Map(records.map((record) => [`${record.building}/${record.device}`, record]));
}

export function accountEntries(told: readonly Told[]): AccountEntry[] {
  const records: AccountRecord[] = told.flatMap(({ account }) => [...account]);
  return records.flatMap(({ entries }) => [...entries]);
}
