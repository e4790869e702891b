import { randomUUID } from 'node:crypto';
import { addValue, emptyAggregate, encodeAggregate } from '@domicile/core/aggregate.ts';
import { parseBuildingId, parseCountryCode } from '@domicile/core/identities.ts';
import { levels, type SummaryRecord } from '@domicile/core/summary.ts';
import { LandingContent } from '../landing-content.ts';
import { LandingZone } from '../landing-zone.ts';
import { UnflushedSummaries } from '../model/unflushed-summaries.ts';
import type { ErasableStore } from '../object-store.ts';
import type { SummaryWriter } from '../summary-writer.ts';
import type { ErasureRun } from './erasure-run.ts';

export const country = parseCountryCode('DE');
export const partition = 3;
export const midnightMs = Date.UTC(2026, 10, 23);
const minuteMs = 60_000;

export function erasureOf(store: ErasableStore, building: string): ErasureRun {
  return {
    landing: store,
    serving: store,
    country,
    building: parseBuildingId(building),
    partition,
    id: 'uid-1',
    nonce: randomUUID(),
    signal: AbortSignal.timeout(60_000),
  };
}

/** Lands a range of readings, one a second by the named buildings in turn, two values each. Gives the next offset. */
export async function land(
  store: ErasableStore,
  of: { readonly first: bigint; readonly buildings: readonly string[]; readonly count: number },
): Promise<bigint> {
  const { first, buildings, count } = of;
  const content = new LandingContent({ country, stream: 'readings', partition, first });
  for (let index = 0; index < count; index += 1) {
    const atMs = midnightMs + (Number(first) + index) * 1000;
    const reading = {
      building: buildings[index % buildings.length],
      floor: '1',
      room: 'r101',
      device: 'r101-air',
      client: 'acme',
      type: 'air-quality',
      boot: 'b1',
      seq: Number(first) + index,
      measuredAtMs: atMs,
      // Two hours of receipt in each range.
      receivedAtMs: midnightMs + (index % 2) * 3_600_000 + index,
      timeSource: 'device',
      values: { co2: index, open: true },
      units: { co2: '[ppm]', open: '1' },
    };
    content.add({ offset: first + BigInt(index), value: Buffer.from(JSON.stringify(reading)) });
  }
  const zone = new LandingZone({ store, country, stream: 'readings' });
  await zone.complete(await zone.take(content), content);
  return first + BigInt(count);
}

/** Lands quarantined units of the buildings in turn. */
export async function quarantine(
  store: ErasableStore,
  of: { readonly first: bigint; readonly buildings: readonly string[] },
): Promise<void> {
  const { first, buildings } = of;
  const content = new LandingContent({ country, stream: 'quarantine', partition, first });
  for (const [index, building] of buildings.entries()) {
    const entry = {
      building,
      device: 'r101-air',
      reason: 'unknown-device',
      detail: '',
      pointer: '',
      boot: null,
      seq: null,
      receivedAtMs: midnightMs + index,
      bytes: Buffer.from(building).toString('base64'),
      stream: 'telemetry',
      partition,
      offset: index,
    };
    content.add({ offset: first + BigInt(index), value: Buffer.from(JSON.stringify(entry)) });
  }
  const zone = new LandingZone({ store, country, stream: 'quarantine' });
  await zone.complete(await zone.take(content), content);
}

/** Flushes closed minutes of each building, at every level. */
export async function summarise(
  writer: SummaryWriter,
  of: {
    readonly buildings: readonly string[];
    readonly fromMinute: number;
    readonly toMinute: number;
  },
): Promise<void> {
  const tail = new UnflushedSummaries(writer.offsets);
  for (const building of of.buildings)
    for (let minute = of.fromMinute; minute < of.toMinute; minute += 1)
      for (const level of levels) tail.take(windowOf(building, level, minute));
  const { rows, offsets, closed } = tail;
  const zones = new Map(of.buildings.map((building) => [building, 'Europe/Berlin']));
  await writer.flush({ rows, offsets, closed, zones });
}

function windowOf(building: string, level: SummaryRecord['level'], minute: number): SummaryRecord {
  const aggregate = emptyAggregate();
  addValue(aggregate, minute);
  return {
    building,
    windowStartMs: midnightMs + minute * minuteMs,
    level,
    id: level === 'building' ? building : `${level}-1`,
    kind: 'window',
    revision: 0,
    final: true,
    offset: -1,
    metrics: { co2: { unit: '[ppm]', aggregate: encodeAggregate(aggregate) } },
  };
}
