import { expect, test } from 'vitest';
import { SizedInput } from './sized-input.ts';

const record = (bytes: number, topic = 'backfill') => ({
  topic,
  partition: 0,
  offset: 0n,
  timestampMs: 0,
  key: null,
  value: Buffer.alloc(bytes),
  headers: new Map<string, string>(),
});

function input() {
  const one = new SizedInput({
    name: 'backfill',
    shareMax: 0.2,
    recordsMax: 4000,
    bytesMax: 500_000,
  });
  return { one, records: () => Math.ceil(4000 * one.share) };
}

test('takes few records until it knows how large they are, then as many as fit', () => {
  const { one, records } = input();
  expect(records()).toBe(2);
  for (let commit = 0; commit < 50; commit += 1) one.took([record(2_000), record(3_000)]);
  expect(records()).toBeGreaterThan(190);
  expect(records()).toBeLessThanOrEqual(201);
  for (let commit = 0; commit < 50; commit += 1) one.took([record(100)]);
  expect(records()).toBe(800);
});

test('takes fewer at once when they become large, and after a commit was given up', () => {
  const { one, records } = input();
  for (let commit = 0; commit < 50; commit += 1) one.took([record(100)]);
  one.took([record(100_000), record(90, 'telemetry')]);
  expect(records()).toBe(5);
  for (let commit = 0; commit < 50; commit += 1) one.took([record(100)]);
  one.forget();
  expect(records()).toBe(2);
});

test('takes one record at least', () => {
  const { one, records } = input();
  one.took([record(900_000)]);
  expect(records()).toBe(1);
});
