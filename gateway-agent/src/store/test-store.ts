import { createLog } from '@domicile/runtime/log.ts';
import { Registry } from 'prom-client';
import { createAgentEvents } from '../events.ts';
import type { StoredRecord } from '../model/record.ts';
import { type StoreOptions, openStore } from './open-store.ts';
import type { Store } from './store.ts';

const log = createLog('gateway-agent', { write: () => undefined });
export const events = createAgentEvents(new Registry(), log);

/** A store for tests: small segments, no timer unless it is asked for, faults thrown. */
export function testStore(
  options: Pick<StoreOptions, 'directory'> & Partial<StoreOptions>,
): Promise<Store> {
  return openStore({
    bytesMax: 100_000_000,
    freeBytesMin: 0,
    segmentBytesMax: 4000,
    whenFull: 'refuse',
    checkpointEveryMs: 60_000,
    events,
    listener: { appended: () => undefined, accountChanged: () => undefined },
    fail: (error) => {
      throw error;
    },
    now: () => 1_800_000_000_000,
    ...options,
  });
}

const limits = { recordsMax: 500, bytesMax: 100_000 };

/** All that the store has from its oldest unsent record on. */
export async function readAll(store: Store): Promise<StoredRecord[]> {
  const records: StoredRecord[] = [];
  let from = store.unsent[0]?.from ?? store.next;
  while (from < store.next) {
    const part = await store.read(from, store.next, limits);
    records.push(...part.records.map((record) => ({ ...record, body: Buffer.from(record.body) })));
    from = part.next;
  }
  return records;
}
