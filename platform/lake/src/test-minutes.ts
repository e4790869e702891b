/** For tests: minutes of one building in the serving layer. The minute of a number holds that number. */
import { addValue, emptyAggregate, encodeAggregate } from '@domicile/core/aggregate.ts';
import { UnflushedSummaries } from './model/unflushed-summaries.ts';
import type { SummaryWriter } from './summary-writer.ts';

const startMs = Date.UTC(2026, 10, 22);

/** As one snapshot, which includes partition 0 of the stream up to the last of them. */
export async function flushMinutes(writer: SummaryWriter, from: number, to: number): Promise<void> {
  const tail = new UnflushedSummaries(writer.offsets);
  for (let minute = from; minute < to; minute += 1) {
    const aggregate = emptyAggregate();
    addValue(aggregate, minute);
    tail.take({
      building: 'de-a',
      windowStartMs: startMs + minute * 60_000,
      level: 'building',
      id: 'de-a',
      kind: 'window',
      revision: 0,
      final: true,
      offset: -1,
      metrics: { co2: { unit: '[ppm]', aggregate: encodeAggregate(aggregate) } },
    });
  }
  tail.reach(0, BigInt(to));
  const { rows, offsets, closed } = tail;
  await writer.flush({ rows, offsets, closed, zones: new Map([['de-a', 'Europe/Berlin']]) });
}
