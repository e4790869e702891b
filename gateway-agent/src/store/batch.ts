import type { Numbering } from '../model/numbering.ts';
import { numbered } from '../model/reading.ts';
import { type StoredRecord, encodeRecord } from '../model/record.ts';
import type { Entry } from './store.ts';

export interface Batch {
  readonly bytes: Buffer;
  readonly records: readonly StoredRecord[];
  /** Keeps the numbers that the batch took, once it is on disk; tells how many runs began. */
  readonly commit: () => number;
}

/** Numbers entries in their order and encodes them. If the write fails, nothing of it has happened. */
export function encodeBatch(
  entries: readonly Entry[],
  { boot, next, numbering }: { boot: string; next: number; numbering: Numbering },
): Batch {
  const draft = numbering.draft();
  const records = entries.map(({ device, lane, reading }, place): StoredRecord => {
    const head = { index: next + place, lane, device, kind: reading.kind };
    if (reading.kind === 'opaque')
      return { ...head, boot: '', seq: -1, body: Buffer.from(reading.bytes) };
    const timing = reading.untimed && { untimed: reading.untimed };
    if (reading.kind === 'passed') {
      draft.notePassed(device, reading.boot, reading.seq);
      const { boot: of, seq, text } = reading;
      return { ...head, ...timing, boot: of, seq, body: Buffer.from(text) };
    }
    const seq = draft.nextOwn(device);
    return {
      ...head,
      ...timing,
      boot,
      seq,
      body: Buffer.from(numbered(reading.text, { boot, seq })),
    };
  });
  return {
    bytes: Buffer.concat(records.map(encodeRecord)),
    records,
    commit: () => draft.commit(),
  };
}
