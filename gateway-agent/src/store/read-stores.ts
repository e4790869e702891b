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

/** As `readStores`, of one store's directory. */
export async function* readStore(directory: string): AsyncGenerator<StoredRecord> {
  const reader = new SegmentReader();
  let next = 0;
  for (;;) {
    // Looked up each time: a closed segment is exchanged for its packed form, with the same records.
    const from = next;
    const files = await listSegments(directory);
    const file = files.findLast(({ first }) => first <= from) ?? files[0];
    if (!file) return;
    const after = files[files.indexOf(file) + 1];
    try {
      const range = { from, to: Infinity };
      const part = await reader.read(await segmentOf(file), range, limits);
      yield* part.records;
      const end = (part.records.at(-1)?.index ?? from - 1) + 1;
      next = part.next ?? after?.first ?? end;
      if (part.next === undefined && !after) return;
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error;
    }
  }
}
