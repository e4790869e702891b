/** From records as received to clean, unique readings with their placement, and to what was not taken in. */
import { accountReportPayload } from '@domicile/core/account.ts';
import type { QuarantineReason } from '@domicile/core/quarantine.ts';
import type { Reading, TimeSource } from '@domicile/core/reading.ts';
import { accountReportSchema, tickSchema } from '@domicile/core/streams.ts';
import {
  type MetricValue,
  parseTelemetry,
  parseTime,
  type PayloadFault,
  type SentReading,
} from '@domicile/core/telemetry.ts';
import { type CommitDraft, readingPointerOf, type Received, SourceRecord } from './commit-draft.ts';
import { numberingHorizonMs } from './numbering.ts';
import type { PartitionState } from './partition-state.ts';
import {
  type KnownBuilding,
  type KnownBuildings,
  type KnownPlacement,
  knownPlacementAt,
} from './registry.ts';
import { faultOfTime } from './time-rules.ts';
import { valueFault } from './value-fault.ts';

/** What refining needs to know; it changes the numbers of `state` and fills `draft`. */
export interface Refinery {
  readonly known: KnownBuildings;
  readonly state: PartitionState;
  readonly draft: CommitDraft;
}

export function refine(refinery: Refinery, received: Received): void {
  const { draft, known } = refinery;
  draft.sawRecord(received.receivedAtMs);
  if (received.schema === tickSchema) {
    draft.sawTick(received.receivedAtMs);
    return;
  }
  const building = known.get(received.building);
  const source = new SourceRecord(received, building, refinery.state);
  if (received.schema === accountReportSchema) takeReport(refinery, source);
  else takePayload(refinery, source);
}

function takePayload(refinery: Refinery, source: SourceRecord): void {
  const { readings, faults } = parseTelemetry(source.received.value);
  let repeated: Set<string> | undefined;
  for (const sent of readings)
    if (takeReading(refinery, source, sent) === 'repeated')
      (repeated ??= new Set()).add(sent.pointer);
  if (faults.length > 0) takeFaults(refinery.draft, source, { faults, readings, repeated });
}

interface FaultyPayload {
  readonly faults: readonly PayloadFault[];
  readonly readings: readonly SentReading[];
  readonly repeated: ReadonlySet<string> | undefined;
}

/** A fault of a value leaves its reading, unless nothing else of it is left. */
function takeFaults(
  draft: CommitDraft,
  source: SourceRecord,
  { faults, readings, repeated }: FaultyPayload,
): void {
  const parsed = new Set(readings.map(({ pointer }) => pointer));
  const lost = new Set<string>();
  for (const fault of faults) {
    const reading = readingPointerOf(fault.pointer);
    const isValue = reading !== fault.pointer;
    if (isValue && repeated?.has(reading)) continue;
    draft.quarantine(source, fault);
    if ((isValue && parsed.has(reading)) || lost.has(reading)) continue;
    lost.add(reading);
    draft.lostNumber(source, fault.number);
  }
}

type Outcome = 'taken' | 'repeated' | 'refused';

function takeReading(refinery: Refinery, source: SourceRecord, sent: SentReading): Outcome {
  const { draft, state } = refinery;
  const { building, received } = source;
  const { receivedAtMs, device } = received;
  const refuse = (reason: QuarantineReason, detail: string): Outcome => {
    draft.quarantineReading(source, sent, { reason, detail });
    return 'refused';
  };
  if (!building?.isServed)
    return refuse('unknown-building', 'The building is not declared, or no longer served');
  const placements = building.devices.get(device);
  if (placements === undefined) return refuse('unknown-device', 'The building has no such device');
  const measuredAtMs = sent.atMs ?? receivedAtMs;
  const timeFault = faultOfTime(measuredAtMs, receivedAtMs);
  if (timeFault !== undefined) return refuse(timeFault, 'The time cannot be right');
  const timeSource: TimeSource = sent.atMs === null ? 'cell' : sent.timeSource;

  const { boot, seq } = sent;
  if (boot !== null && seq !== null) {
    if (measuredAtMs < receivedAtMs - numberingHorizonMs)
      return refuse('too-old-to-deduplicate', 'It was measured too long ago');
    const isStamped = timeSource !== 'device';
    const number = { boot, seq, measuredAtMs, isStamped };
    const verdict = state.building(building.id).judge(device, number);
    if (verdict === 'duplicate') {
      draft.duplicate(source, { device, boot, atMs: measuredAtMs });
      return 'repeated';
    }
    if (verdict !== 'new') return refuse(verdict, 'The number cannot be told from an earlier one');
  }
  const placement = knownPlacementAt(placements, measuredAtMs);
  if (placement === undefined) return refuse('unknown-device', 'The device stands nowhere');
  const clean = cleanValues(draft, source, { sent, placement });
  if (clean === undefined) return 'refused';
  if (boot !== null && seq !== null)
    state.building(building.id).numbersOf(device).take(boot, seq, measuredAtMs);
  const place = { floor: placement.floor, room: placement.room, type: placement.type };
  const times = { measuredAtMs, receivedAtMs, timeSource };
  draft.readings.push(readingOf({ building, device, place, sent, times, clean }));
  return 'taken';
}

interface Clean {
  readonly values: Record<string, MetricValue>;
  readonly units: Readonly<Record<string, string>>;
}

function readingOf(of: {
  building: KnownBuilding;
  device: string;
  place: { floor: string; room: string; type: string };
  sent: SentReading;
  times: { measuredAtMs: number; receivedAtMs: number; timeSource: TimeSource };
  clean: Clean;
}): Reading {
  const { building, device, place, sent, times, clean } = of;
  return {
    building: building.id,
    floor: place.floor,
    room: place.room,
    device,
    client: building.client,
    type: place.type,
    boot: sent.boot,
    seq: sent.seq,
    measuredAtMs: times.measuredAtMs,
    receivedAtMs: times.receivedAtMs,
    timeSource: times.timeSource,
    values: clean.values,
    units: clean.units,
  };
}

/** Undefined when no value is left: then the reading is lost, and its number with it. */
function cleanValues(
  draft: CommitDraft,
  source: SourceRecord,
  { sent, placement }: { sent: SentReading; placement: KnownPlacement },
): Clean | undefined {
  const { metrics, units } = placement;
  const values: Record<string, MetricValue> = {};
  let left = 0;
  let refused: RefusedValue[] | undefined;
  for (const [metric, value] of sent.values) {
    const fault = valueFault(metrics, metric, value);
    if (fault === undefined) {
      values[metric] = value;
      left += 1;
    } else {
      const pointer = `${sent.pointer}/values/${metric}`;
      (refused ??= []).push({ pointer, ...fault, metric });
    }
  }
  if (refused !== undefined) {
    const { boot, seq } = sent;
    const number = left === 0 && boot !== null && seq !== null ? { boot, seq } : null;
    for (const [index, one] of refused.entries())
      draft.quarantine(source, { ...one, number: index === 0 ? number : null });
    if (left === 0) {
      draft.lostNumber(source, number, sent.atMs);
      return undefined;
    }
  }
  if (left === metrics.size) return { values, units };
  const some = Object.keys(values).map((metric) => [metric, units[metric] ?? '1']);
  return { values, units: Object.fromEntries(some) };
}

interface RefusedValue {
  readonly pointer: string;
  readonly reason: QuarantineReason;
  readonly detail: string;
  readonly metric: string;
}

/** A gateway's word on how far numberings went. */
function takeReport({ draft }: Refinery, source: SourceRecord): void {
  const { receivedAtMs, value } = source.received;
  const report = accountReportPayload.safeParse(jsonOf(value));
  if (!report.success) {
    const detail = 'The report cannot be read';
    draft.quarantine(source, { pointer: '', reason: 'account-invalid', detail, number: null });
    return;
  }
  if (source.building === undefined) return;
  const { at, devices } = report.data;
  const told = typeof at === 'string' ? parseTime(at) : at;
  const isRight = told !== undefined && faultOfTime(told, receivedAtMs) === undefined;
  const atMs = isRight ? told : receivedAtMs;
  for (const { device, boot, next, dropped, previous } of devices) {
    if (!draft.isNamed(source, device)) continue;
    const ranges = dropped
      .filter(({ from, to }) => from <= to)
      .map(({ from, to }) => [from, to] as const);
    const account = draft.accountOf(source.received.building);
    account.reported({ device, boot, atMs }, { next, dropped: ranges, closed: false });
    if (previous)
      account.reported(
        { device, boot: previous.boot, atMs },
        { next: previous.next, dropped: [], closed: true },
      );
  }
}

const decoder = new TextDecoder('utf-8', { fatal: true });

function jsonOf(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(decoder.decode(bytes));
  } catch {
    return undefined;
  }
}
