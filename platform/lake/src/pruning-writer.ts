/** For tests: a process that writes snapshots of summaries and prunes, until it is killed, and says what it has done. */
import { FsObjectStore } from './fs/fs-object-store.ts';
import { SummaryPruning } from './summary-pruning.ts';
import { SummaryWriter } from './summary-writer.ts';
import { flushMinutes } from './test-minutes.ts';

const [root = ''] = process.argv.slice(2);
const snapshotsEach = 20;
const minutesEach = 3;
/** None: a round removes all that was superseded before the last one. */
const graceMs = 0;

const store = new FsObjectStore(root);
const writer = await SummaryWriter.open(store);
const told = {
  list: store.list.bind(store),
  head: store.head.bind(store),
  async remove(key: string, generation: string): Promise<boolean> {
    const isRemoved = await store.remove(key, generation);
    process.stdout.write('removed\n');
    return isRemoved;
  },
};
const pruning = new SummaryPruning({ store: told, graceMs });

for (let minute = Number(writer.offsets.get(0) ?? 0n); ;) {
  for (let snapshot = 0; snapshot < snapshotsEach; snapshot += 1) {
    await flushMinutes(writer, minute, minute + minutesEach);
    minute += minutesEach;
    process.stdout.write(`flushed ${minute}\n`);
  }
  await pruning.round(writer.published);
}
