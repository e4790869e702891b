import { expect, test } from 'vitest';
import { FrameReader } from './frame-reader.ts';
import { seeded, seeds } from './seeded.ts';

function frame(length: number, fill: number): Buffer {
  const header = [0x30];
  let rest = length;
  do {
    header.push((rest % 128) + (rest >= 128 ? 128 : 0));
    rest = Math.floor(rest / 128);
  } while (rest > 0);
  return Buffer.concat([Buffer.from(header), Buffer.alloc(length, fill)]);
}

test.each(seeds)('however the bytes are cut, the packets are the same (seed %d)', (seed) => {
  const dice = seeded(seed);
  const lengths = [0, 1, 127, 128, 300, 16_383, 16_384, 40_000];
  const frames = Array.from({ length: 12 }, () => frame(lengths[dice(8)] ?? 0, dice(256)));
  const stream = Buffer.concat(frames);
  const reader = new FrameReader();
  const read: Buffer[] = [];
  for (let at = 0; at < stream.length;) {
    const bytes = 1 + dice(dice(3) === 0 ? 5 : 9000);
    reader.push(Buffer.from(stream.subarray(at, at + bytes)));
    at += bytes;
    for (let next = reader.next(50_000); next !== undefined; next = reader.next(50_000)) {
      if (typeof next === 'string') throw new Error(next);
      read.push(next);
    }
  }
  expect(read.map((each) => each.toString('hex'))).toEqual(
    frames.map((each) => each.toString('hex')),
  );
  expect(reader.heldBytes).toBe(0);
});

test('a packet above the limit is known by its header, before its body comes', () => {
  const reader = new FrameReader();
  reader.push(frame(262_144, 0).subarray(0, 4));
  expect(reader.next(262_144)).toBe('too-large');
  const fits = new FrameReader();
  fits.push(frame(262_140, 0));
  expect(fits.next(262_144)).toHaveLength(262_144);
});

test.each([
  ['a length of five bytes', [0x30, 0xff, 0xff, 0xff, 0xff, 0x01]],
  ['a length that is longer than it must be', [0x30, 0x80, 0x00]],
])('%s is malformed', (_name, bytes) => {
  const reader = new FrameReader();
  reader.push(Buffer.from(bytes));
  expect(reader.next(1000)).toBe('malformed');
});

test('a length that is not whole yet is waited for', () => {
  const reader = new FrameReader();
  reader.push(Buffer.from([0x30]));
  expect(reader.next(1000)).toBeUndefined();
  reader.push(Buffer.from([0x80]));
  expect(reader.next(1000)).toBeUndefined();
  reader.push(Buffer.from([0x01]));
  expect(reader.next(1000)).toBeUndefined();
  expect(reader.next(100)).toBe('too-large');
});
