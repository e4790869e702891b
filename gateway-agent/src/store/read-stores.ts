import { join } from 'node:path';
import type { StoredRecord } from '../model/record.ts';
import { listSegments } from './files.ts';
import { segmentOf } from './open-store.ts';
import { SegmentReader } from './segment-reader.ts';
import { nameOf, storesIn } from './store-set.ts';

const limits = { recordsMax: 1000, bytesMax: 1024 * 1024 };

/**
 * All records that can be read in a data directory, of each store in their order; writes nothing, and may be used beside a running
 * agent: what that removes meanwhile is left out, and what is not whole yet is not read.
 */
export async function* readStores(dataDirectory: string): AsyncGenerator<StoredRecord> {
  for (const number of await storesIn(dataDirectory))
    yield* readStore(join(dataDirectory, nameOf(number)));
}

/** Records that cannot be read: from this index, below that one if it is known how many. */
export interface Unreadable {
  readonly from: number;
  readonly to: number | undefined;
}

/** As `readStores`, of one store's directory; `missed` is told what cannot be read, in order. */
export async function* readStore(
  directory: string,
  missed: (what: Unreadable) => void = () => undefined,
): AsyncGenerator<StoredRecord> {
  const reader = new SegmentReader();
  let next = 0;
  let read = 0;
  const reach = (to: number | undefined) => {
    if (to === undefined || to > read) missed({ from: read, to });
    read = Math.max(read, to ?? read);
  };
  for (;;) {
    // Looked up each time: a closed segment is exchanged for its packed form, with the same records.
    const from = next;
    const files = await listSegments(directory);
    const file = files.findLast(({ first }) => first <= from) ?? files[0];
    if (!file) return;
    const after = files[files.indexOf(file) + 1];
    try {
      const range = { from, to: Infinity };
      const { records, end, ...part } = await reader.read(await segmentOf(file), range, limits);
      // What was sent is removed in whole segments.
      read = Math.max(read, file.first);
      for (const record of records) {
        reach(record.index);
        yield record;
        read = record.index + 1;
      }
      if (typeof end === 'number') reach(end);
      else if (end !== undefined && after) reach(after.first);
      else if (end === 'lost') reach(undefined);
      next = part.next ?? after?.first ?? read;
      if (part.next === undefined && !after) return;
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error;
    }
  }
}
