import { z } from 'zod';
import { type Dropped, addDropped } from './dropped.ts';
import { Numbering, type Numbers, numbersSchema } from './numbering.ts';
import { type RecordHead, findRecord } from './record.ts';

/** The first record of every segment: the run, and how far everything was numbered before it. */
export interface SegmentHead {
  readonly boot: string;
  readonly numbers: Numbers;
}

const headSchema = z.object({ boot: z.string(), numbers: numbersSchema });

export function encodeSegmentHead(head: SegmentHead): Buffer {
  return Buffer.from(JSON.stringify(head));
}

/** What a segment says when it is read from its start to its end. */
export interface SegmentScan {
  /** Absent if it cannot be read. */
  readonly head?: SegmentHead;
  readonly numbers: Numbers;
  /** One after the last record that is known. */
  readonly next: number;
  /** Bytes from the start that hold whole records. */
  readonly bytes: number;
  readonly ending: 'whole' | 'torn' | 'lost';
  /** Own and passed numbers that are certainly gone. */
  readonly dropped: readonly Dropped[];
  /** Records that are gone without saying whose they were. */
  readonly unknown: number;
}

/**
 * Scans the bytes of the segment that begins at index `first`. A number that the agent left out between two
 * that can be read was of a record that cannot; what was of no such number stays `unknown`.
 */
export function scanSegment(bytes: Buffer, first: number): SegmentScan {
  const opening = findRecord(bytes, 0);
  const head =
    opening.what === 'record' && opening.record.kind === 'segment'
      ? parseHead(opening.record.body)
      : undefined;
  const fold = new ScanFold(head, first);
  let offset = 0;
  for (;;) {
    const found = findRecord(bytes, offset);
    switch (found.what) {
      case 'record':
        fold.take(found.record, 'whole');
        offset = found.end;
        break;
      case 'damaged':
        if (found.head) fold.take(found.head, 'damaged');
        else if (found.index !== undefined) fold.miss(found.index);
        offset = found.end;
        break;
      case 'torn':
      case 'lost':
      case 'end':
        return fold.result(offset, found.what === 'end' ? 'whole' : found.what);
    }
  }
}

function parseHead(body: Buffer): SegmentHead | undefined {
  const text = body.toString();
  const read = headSchema.safeParse(JSON.parse(text));
  return read.success ? read.data : undefined;
}

class ScanFold {
  readonly #head: SegmentHead | undefined;
  readonly #numbering: Numbering;
  #dropped: readonly Dropped[] = [];
  #next: number;
  #missing = 0;
  #explained = 0;

  constructor(head: SegmentHead | undefined, first: number) {
    this.#head = head;
    this.#numbering = new Numbering(head?.numbers);
    this.#next = first;
  }

  take(head: RecordHead, state: 'whole' | 'damaged'): void {
    if (head.kind === 'segment') return;
    this.#missing += Math.max(0, head.index - this.#next);
    this.#next = Math.max(this.#next, head.index + 1);
    const draft = this.#numbering.draft();
    if (head.kind === 'own') {
      this.#explainJump(head);
      draft.noteOwn(head.device, head.seq);
    } else if (head.kind === 'passed') draft.notePassed(head.device, head.boot, head.seq);
    draft.commit();
    if (state === 'damaged') this.#dropDamaged(head);
  }

  /** A record of which only the index is left. */
  miss(index: number): void {
    this.#missing += Math.max(0, index + 1 - this.#next);
    this.#next = Math.max(this.#next, index + 1);
  }

  #explainJump({ device, seq }: RecordHead): void {
    if (!this.#head) return;
    const expected = this.#numbering.of(device).own ?? 0;
    if (seq <= expected) return;
    this.#explained += seq - expected;
    this.#drop({ device, boot: this.#head.boot, from: expected, to: seq - 1 });
  }

  #dropDamaged({ device, boot, seq }: RecordHead): void {
    if (seq >= 0) this.#drop({ device, boot, from: seq, to: seq });
  }

  #drop(range: Omit<Dropped, 'reason'>): void {
    this.#dropped = addDropped(this.#dropped, { ...range, reason: 'unreadable' });
  }

  result(bytes: number, ending: SegmentScan['ending']): SegmentScan {
    return {
      ...(this.#head && { head: this.#head }),
      numbers: this.#numbering.numbers(),
      next: this.#next,
      bytes,
      ending,
      dropped: this.#dropped,
      unknown: this.#missing - this.#explained,
    };
  }
}

/** Own numbers that a segment lost at its end, as the head of the segment after it tells. */
export function droppedBefore(scan: SegmentScan, after: SegmentHead): readonly Dropped[] {
  const { head } = scan;
  if (!head || head.boot !== after.boot) return [];
  return Object.entries(after.numbers).flatMap(([device, { own = 0 }]) => {
    const known = scan.numbers[device]?.own ?? 0;
    if (own <= known) return [];
    return [{ device, boot: head.boot, from: known, to: own - 1, reason: 'unreadable' as const }];
  });
}
