import { expect, test } from 'vitest';
import { Numbering } from './numbering.ts';
import { holds } from './ranges.ts';
import { type StoredRecord, encodeRecord, findRecord } from './record.ts';
import { type Checkpoint, type Recovered, recover } from './recovery.ts';
import { encodeSegmentHead, scanSegment } from './segment.ts';
import { TestRandom } from './test-random.ts';

const boot = 'run-1';
const devices = ['r101-air', 'r102-air', 'r103-light'];

interface Written {
  readonly record: StoredRecord;
  readonly from: number;
  readonly to: number;
}

interface World {
  readonly bytes: Buffer;
  readonly written: readonly Written[];
  /** The checkpoint that was written when so many records were there. */
  readonly checkpointAt: (records: number) => Checkpoint;
  readonly given: Numbering;
}

/** A segment as an agent writes it, with some numbers of its own and some of devices. */
function worldOf(random: TestRandom, records: number): World {
  const given = new Numbering({ 'r101-air': { own: 40 } });
  const snapshots = [given.numbers()];
  const head = { boot, numbers: given.numbers() };
  const parts = [
    encodeRecord({
      index: 100,
      kind: 'segment',
      lane: 'live',
      device: '',
      boot: '',
      seq: -1,
      body: encodeSegmentHead(head),
    }),
  ];
  const written: Written[] = [];
  let at = parts[0]?.length ?? 0;
  for (let place = 0; place < records; place += 1) {
    const device = random.pick(devices);
    const draft = given.draft();
    const isOwn = random.next() < 0.8;
    const seq = isOwn ? draft.nextOwn(device) : random.below(1000);
    if (!isOwn) draft.notePassed(device, 'device-run', seq);
    draft.commit();
    const record: StoredRecord = {
      index: 100 + place,
      kind: isOwn ? 'own' : 'passed',
      lane: 'live',
      device,
      boot: isOwn ? boot : 'device-run',
      seq,
      body: Buffer.from(
        `{"values":{"v":${random.next()}},"DMR1":"${'x'.repeat(random.below(90))}"}`,
      ),
    };
    const bytes = encodeRecord(record);
    parts.push(bytes);
    written.push({ record, from: at, to: at + bytes.length });
    at += bytes.length;
    snapshots.push(given.numbers());
  }
  const checkpointAt = (count: number): Checkpoint => ({
    version: 1,
    boot,
    next: 100 + count,
    unsent: [{ from: 100, to: 100 + count }],
    numbers: snapshots[count] ?? {},
    dropped: [],
    orders: [],
  });
  return { bytes: Buffer.concat(parts), written, checkpointAt, given };
}

function readable(bytes: Buffer): StoredRecord[] {
  const records: StoredRecord[] = [];
  let at = 0;
  for (;;) {
    const found = findRecord(bytes, at);
    if (found.what === 'record') records.push(found.record);
    if (found.what !== 'record' && found.what !== 'damaged') return records;
    at = found.end;
  }
}

const recovered = (bytes: Buffer, checkpoint: Checkpoint | 'unreadable' | 'absent'): Recovered =>
  recover({ checkpoint, first: 100, scans: [scanSegment(bytes, 100)], freshBoot: 'run-2' });

/** Whether a number that was given may be given again. */
function mayRepeat(after: Recovered, given: readonly StoredRecord[]): boolean {
  if (after.boot !== boot) return false;
  return given.some(
    ({ kind, device, seq }) => kind === 'own' && (after.numbers[device]?.own ?? 0) <= seq,
  );
}

function isDropped(after: Recovered, { device, boot: run, seq }: StoredRecord): boolean {
  return after.dropped.some(
    (one) => one.device === device && one.boot === run && one.from <= seq && seq <= one.to,
  );
}

const seeds = Array.from({ length: 200 }, (_, seed) => seed);

test('a whole segment is gone on with', () => {
  const { bytes, checkpointAt, given } = worldOf(new TestRandom(1), 30);
  const after = recovered(bytes, checkpointAt(10));
  expect(after.renewedFor).toBeUndefined();
  expect(after).toMatchObject({ boot, next: 130, unsent: [{ from: 100, to: 130 }], dropped: [] });
  expect(after.numbers).toEqual(given.numbers());
});

test('a write that was cut short costs only what was not synced, and no run', () => {
  for (const seed of seeds) {
    const random = new TestRandom(seed);
    const { bytes, written, checkpointAt } = worldOf(random, 20);
    const first = written[0]?.from ?? 0;
    const cut = first + random.below(bytes.length - first);
    const whole = written.filter(({ to }) => to <= cut);
    const tail = random.next() < 0.3 ? Buffer.alloc(random.below(500)) : Buffer.alloc(0);
    const left = Buffer.concat([bytes.subarray(0, cut), tail]);
    // The length of a file may reach the disk before its content: zeros then.
    if (tail.length > 0 && written.some(({ from, to }) => from < cut && cut < to)) continue;
    const after = recovered(left, checkpointAt(random.below(whole.length + 1)));
    expect(after.renewedFor, `seed ${seed}`).toBeUndefined();
    expect(after.next, `seed ${seed}`).toBe(100 + whole.length);
    expect(
      mayRepeat(
        after,
        whole.map(({ record }) => record),
      ),
      `seed ${seed}`,
    ).toBe(false);
    expect(after.dropped, `seed ${seed}`).toEqual([]);
  }
});

test('records that the checkpoint knew and the disk has lost begin a new run, and are in the account', () => {
  for (const seed of seeds) {
    const random = new TestRandom(seed);
    const { bytes, written, checkpointAt } = worldOf(random, 20);
    const first = written[0]?.from ?? 0;
    const cut = first + random.below(bytes.length - first);
    const left = written.filter(({ to }) => to <= cut).length;
    const known = left + 1 + random.below(20 - left);
    const after = recovered(bytes.subarray(0, cut), checkpointAt(known));
    expect(after.boot, `seed ${seed}`).toBe('run-2');
    expect(after.next, `seed ${seed}`).toBeGreaterThanOrEqual(100 + known);
    const cutOwn = written.slice(left, known).filter(({ record }) => record.kind === 'own');
    const untold = cutOwn.filter(({ record }) => !isDropped(after, record));
    expect(untold, `seed ${seed}`).toEqual([]);
  }
});

test('a flipped bit costs one record at most, is told, and never a number twice', () => {
  for (const seed of seeds) {
    const random = new TestRandom(seed);
    const { bytes, written, checkpointAt } = worldOf(random, 20);
    const at = random.below(bytes.length);
    const flipped = Buffer.from(bytes);
    flipped[at] = (flipped[at] ?? 0) ^ (1 << random.below(8));
    const hit = written.find(({ from, to }) => from <= at && at < to)?.record;
    const others = written.map(({ record }) => record).filter((record) => record !== hit);
    const after = recovered(flipped, checkpointAt(random.below(20)));
    const read = readable(flipped).filter(({ kind }) => kind !== 'segment');
    expect(
      read.map(({ index }) => index),
      `seed ${seed}`,
    ).toEqual(others.map(({ index }) => index));
    for (const { index } of read) expect(holds(after.unsent, index), `seed ${seed}`).toBe(true);
    const given = written.map(({ record }) => record);
    expect(mayRepeat(after, given), `seed ${seed}`).toBe(false);
    expect(
      others.filter((record) => isDropped(after, record)),
      `seed ${seed}`,
    ).toEqual([]);
    if (!hit || after.renewedFor !== undefined) continue;
    expect(after.dropped, `seed ${seed}`).toEqual([
      expect.objectContaining({ device: hit.device, from: hit.seq, to: hit.seq }),
    ]);
  }
});

test('random damage never gives a number twice and never loses what can be read', () => {
  for (const seed of seeds) {
    const random = new TestRandom(seed);
    const { bytes, written, checkpointAt } = worldOf(random, 20);
    const damaged = Buffer.from(bytes);
    const from = random.below(damaged.length);
    const to = Math.min(damaged.length, from + 1 + random.below(400));
    for (let at = from; at < to; at += 1) damaged[at] = random.below(256);
    const checkpoint = random.next() < 0.2 ? 'unreadable' : checkpointAt(random.below(21));
    const after = recovered(damaged, checkpoint);
    const untouched = written.filter((one) => one.to <= from || one.from >= to);
    const read = readable(damaged).map(({ index }) => index);
    for (const { record } of untouched) {
      expect(read, `seed ${seed}`).toContain(record.index);
      expect(holds(after.unsent, record.index), `seed ${seed}`).toBe(true);
    }
    expect(
      mayRepeat(
        after,
        written.map(({ record }) => record),
      ),
      `seed ${seed}`,
    ).toBe(false);
  }
});

test('a checkpoint that cannot be read begins a new run; all that is on disk goes up again', () => {
  const { bytes, given } = worldOf(new TestRandom(3), 10);
  const after = recovered(bytes, 'unreadable');
  expect(after.boot).toBe('run-2');
  expect(after.unsent).toEqual([{ from: 100, to: 110 }]);
  const own = given.of('r101-air').own ?? 0;
  expect(after.numbers['r101-air']).toMatchObject({ own: 0, ownBefore: { boot, next: own } });
});
