/** For tests: a process that writes snapshots of summaries and prunes, until it is killed, and says what it has done. */
import { addValue, emptyAggregate, encodeAggregate } from '@domicile/core/aggregate.ts';
import { FsObjectStore } from './fs/fs-object-store.ts';
import { UnflushedSummaries } from './model/unflushed-summaries.ts';
import { SummaryPruning } from './summary-pruning.ts';
import { SummaryWriter } from './summary-writer.ts';

const [root = ''] = process.argv.slice(2);
const startMs = Date.UTC(2026, 10, 22);
const snapshotsEach = 20;
const minutesEach = 3;
/** None: a round removes all that was superseded before the last one. */
const graceMs = 0;

const store = new FsObjectStore(root);
const writer = await SummaryWriter.open(store);
const pruning = new SummaryPruning({ store, graceMs });

/** The minute of a number holds that number. */
async function flush(from: number): Promise<void> {
  const tail = new UnflushedSummaries(writer.offsets);
  for (let minute = from; minute < from + minutesEach; minute += 1) {
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
  tail.reach(0, BigInt(from + minutesEach));
  const { rows, offsets, closed } = tail;
  await writer.flush({ rows, offsets, closed, zones: new Map([['de-a', 'Europe/Berlin']]) });
}

for (let minute = Number(writer.offsets.get(0) ?? 0n); ;) {
  for (let snapshot = 0; snapshot < snapshotsEach; snapshot += 1) {
    await flush(minute);
    minute += minutesEach;
    process.stdout.write(`flushed ${minute}\n`);
  }
  process.stdout.write('pruning\n');
  const { snapshots, files } = await pruning.round(writer.published);
  process.stdout.write(`pruned ${snapshots + files}\n`);
}
