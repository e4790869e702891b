import { expect, test } from 'vitest';
import { testBuildings } from '../test-support.ts';
import { devicesSeen } from './devices-seen.ts';
import { LatestBook } from './latest-book.ts';

const nowMs = Date.UTC(2026, 10, 23, 9);
const windowMs = 3_600_000;

function bookOf(received: Readonly<Record<string, number>>, building: string): LatestBook {
  const book = new LatestBook();
  for (const [device, receivedAtMs] of Object.entries(received)) {
    const point = { value: 1, unit: '1', measuredAtMs: 0, receivedAtMs, offset: receivedAtMs };
    book.take({ building, device, floor: '1', room: 'r1', points: { co2: point } });
  }
  return book;
}

test('a device counts while a reading of it came within the window, whenever it was measured', () => {
  const [first, ...others] = testBuildings();
  if (!first) throw new Error('there is no building');
  const [one, two, three] = first.devices.map(({ id }) => id);
  const edge = nowMs - windowMs;
  const received = { [`${one}`]: edge, [`${two}`]: edge - 1, stranger: nowMs };
  const book = bookOf(received, first.id);
  const count = (buildings = [first, ...others]) =>
    devicesSeen(buildings, (building, device) => book.lastReceivedMs(building, device), {
      windowMs,
      nowMs,
    });
  expect(three).toBeDefined();
  expect(count().seen).toEqual(
    Object.fromEntries([first, ...others].map(({ id }) => [id, id === first.id ? 1 : 0])),
  );
  book.forget(first.id, `${one}`);
  expect(count().seen[first.id]).toBe(0);
  expect(count([{ ...first, state: 'offboarded' }]).seen).toEqual({});
});

test('a late reading, older than the newest, says nothing of when the device spoke last', () => {
  const book = bookOf({ d1: nowMs }, 'de-a');
  const old = { value: 1, unit: '1', measuredAtMs: -1, receivedAtMs: nowMs + 1, offset: 0 };
  book.take({ building: 'de-a', device: 'd1', floor: '1', room: 'r1', points: { co2: old } });
  expect(book.lastReceivedMs('de-a', 'd1')).toBe(nowMs);
});
