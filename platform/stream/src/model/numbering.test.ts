import { describe, expect, test } from 'vitest';
import { bootsPerDeviceMax, DeviceNumbers, rangesPerBootMax } from './numbering.ts';
import { dice, passed } from './simulation.ts';

const number = (seq: number, measuredAtMs = 1000 + seq, boot = 'b') => ({
  boot,
  seq,
  measuredAtMs,
  isStamped: false,
});

function taken(...numbers: readonly { boot: string; seq: number; measuredAtMs: number }[]) {
  const device = new DeviceNumbers();
  for (const { boot, seq, measuredAtMs } of numbers) device.take(boot, seq, measuredAtMs);
  return device;
}

test('a number is new until it was taken, and then a duplicate', () => {
  const device = taken(number(0), number(1), number(3));
  expect([0, 1, 2, 3, 4].map((seq) => device.judge(number(seq)))).toEqual([
    'duplicate',
    'duplicate',
    'new',
    'duplicate',
    'new',
  ]);
  expect(device.judge(number(0, 1000, 'other'))).toBe('new');
});

test('a number that comes again with a time outside its range is reused, unless the cell told the time', () => {
  const device = taken(number(0, 1000), number(1, 2000));
  expect(device.judge(number(1, 1500))).toBe('duplicate');
  expect(device.judge(number(1, 2001))).toBe('sequence-reused');
  expect(device.judge(number(1, 999))).toBe('sequence-reused');
  expect(device.judge({ ...number(1, 2001), isStamped: true })).toBe('duplicate');
});

test.each([1, 2, 3])('any order of taking knows the same numbers (seed %i)', (seed) => {
  const random = dice(seed);
  const device = new DeviceNumbers();
  const known = new Set<number>();
  for (let step = 0; step < 400; step += 1) {
    const seq = Math.floor(random() * 300);
    expect(device.judge(number(seq))).toBe(known.has(seq) ? 'duplicate' : 'new');
    if (!known.has(seq)) device.take('b', seq, 1000 + seq);
    known.add(seq);
  }
  const restored = DeviceNumbers.decode(passed(device.encode()));
  for (let seq = 0; seq < 300; seq += 1)
    expect(restored.judge(number(seq))).toBe(known.has(seq) ? 'duplicate' : 'new');
});

describe('what was forgotten is never guessed', () => {
  test('numbers below the ranges that are kept are too old', () => {
    const device = new DeviceNumbers();
    for (let gap = 0; gap <= rangesPerBootMax; gap += 1) device.take('b', gap * 2, gap);
    expect(device.judge(number(0, 0))).toBe('too-old-to-deduplicate');
    expect(device.judge(number(1, 1))).toBe('new');
    expect(device.judge(number(2, 1))).toBe('duplicate');
  });

  test('boots as old as a forgotten one are too old', () => {
    const device = new DeviceNumbers();
    for (let boot = 0; boot <= bootsPerDeviceMax; boot += 1)
      device.take(`b${boot}`, 0, 1000 + boot);
    expect(device.judge(number(0, 1000, 'b0'))).toBe('too-old-to-deduplicate');
    expect(device.judge(number(0, 1001, 'b1'))).toBe('duplicate');
    expect(device.judge(number(0, 1000, 'unheard'))).toBe('too-old-to-deduplicate');
    expect(device.judge(number(0, 1001, 'unheard'))).toBe('new');
    const restored = DeviceNumbers.decode(passed(device.encode()));
    expect(restored.judge(number(0, 1000, 'b0'))).toBe('too-old-to-deduplicate');
  });
});
