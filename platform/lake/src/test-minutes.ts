/** For tests: minutes of buildings in the serving layer. */
import { addValue, emptyAggregate, encodeAggregate } from '@domicile/core/aggregate.ts';
import type { SummaryRecord } from '@domicile/core/summary.ts';
import { UnflushedSummaries } from './model/unflushed-summaries.ts';
import type { FlushReport, SummaryWriter } from './summary-writer.ts';

const startMs = Date.UTC(2026, 10, 22);
const zonesDefault = new Map([['de-a', 'Europe/Berlin']]);

/** A window of the whole building `de-a` that holds one value, but for what `of` says. */
export function windowWith(
  value: number,
  of: Partial<SummaryRecord> & Pick<SummaryRecord, 'windowStartMs'>,
): SummaryRecord {
  const aggregate = emptyAggregate();
  addValue(aggregate, value);
  return {
    building: 'de-a',
    level: 'building',
    id: of.building ?? 'de-a',
    kind: 'window',
    revision: 0,
    final: true,
    offset: -1,
    metrics: { co2: { unit: '[ppm]', aggregate: encodeAggregate(aggregate) } },
    ...of,
  };
}

export function tailOf(
  writer: SummaryWriter,
  records: Iterable<SummaryRecord>,
): UnflushedSummaries {
  const tail = new UnflushedSummaries(writer.offsets);
  for (const record of records) tail.take(record);
  return tail;
}

/** As one snapshot. */
export function flushTail(
  writer: SummaryWriter,
  { rows, offsets, closed }: UnflushedSummaries,
  zones: ReadonlyMap<string, string> = zonesDefault,
): Promise<FlushReport> {
  return writer.flush({ rows, offsets, closed, zones });
}

/** As one snapshot, which includes partition 0 of the stream up to the last of them. The minute of a number holds that number. */
export async function flushMinutes(writer: SummaryWriter, from: number, to: number): Promise<void> {
  const minutes = Array.from({ length: to - from }, (_, index) => from + index);
  const tail = tailOf(
    writer,
    minutes.map((minute) => windowWith(minute, { windowStartMs: startMs + minute * 60_000 })),
  );
  tail.reach(0, BigInt(to));
  await flushTail(writer, tail);
}
