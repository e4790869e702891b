import { expect, test } from 'vitest';
import { localHours } from './local-hour.ts';

test('hours are of the building’s clock, over the change of it', () => {
  const berlin = localHours('Europe/Berlin', 'DE');
  // Sunday, 25 October 2026: at 01:00 UTC the clock goes from 03:00 back to 02:00.
  expect(berlin(Date.UTC(2026, 9, 25, 0, 30))).toEqual({ dayType: 'weekend', hour: 2 });
  expect(berlin(Date.UTC(2026, 9, 25, 1, 30))).toEqual({ dayType: 'weekend', hour: 2 });
  expect(berlin(Date.UTC(2026, 9, 25, 2, 30))).toEqual({ dayType: 'weekend', hour: 3 });
  expect(berlin(Date.UTC(2026, 9, 25, 23, 0))).toEqual({ dayType: 'workday', hour: 0 });
});

test('half hours count, and the weekend is the country’s', () => {
  expect(localHours('Asia/Kolkata', 'IN')(Date.UTC(2026, 10, 23, 18, 30)).hour).toBe(0);
  const friday = Date.UTC(2026, 10, 27, 12);
  expect(localHours('Asia/Jerusalem', 'IL')(friday).dayType).toBe('weekend');
  expect(localHours('Europe/Berlin', 'DE')(friday).dayType).toBe('workday');
});
