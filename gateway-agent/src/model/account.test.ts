import { accountReportPayload } from '@domicile/core/account.ts';
import { expect, test } from 'vitest';
import { accountMessages, accountOf, accountOfStores } from './account.ts';
import { addDropped } from './dropped.ts';
import { Numbering } from './numbering.ts';

test('the account says of each run how far it went, what was before it and what is dropped', () => {
  const account = accountOf({
    atMs: Date.parse('2026-11-24T07:00:00Z'),
    boot: 'run-2',
    numbers: {
      a: { own: 5, ownBefore: { boot: 'run-1', next: 90 } },
      b: { passed: { boot: 'x', next: 3 } },
      c: { own: 1, passed: { boot: 'y', next: 2 }, passedBefore: { boot: 'x', next: 7 } },
    },
    dropped: [
      { device: 'a', boot: 'run-2', from: 1, to: 2, reason: 'operator' },
      { device: 'a', boot: 'run-1', from: 80, to: 89, reason: 'cut' },
    ],
  });
  expect(account).toEqual({
    at: '2026-11-24T07:00:00.000Z',
    devices: [
      {
        device: 'a',
        boot: 'run-1',
        next: 90,
        dropped: [{ from: 80, to: 89, reason: 'cut' }],
      },
      {
        device: 'a',
        boot: 'run-2',
        next: 5,
        dropped: [{ from: 1, to: 2, reason: 'operator' }],
        previous: { boot: 'run-1', next: 90 },
      },
      { device: 'b', boot: 'x', next: 3, dropped: [] },
      { device: 'c', boot: 'run-2', next: 1, dropped: [] },
      { device: 'c', boot: 'y', next: 2, dropped: [], previous: { boot: 'x', next: 7 } },
    ],
  });
  expect(accountReportPayload.parse(account)).toEqual(account);
});

test('a long account goes in several messages, each within its bytes', () => {
  const numbers = Object.fromEntries(
    Array.from({ length: 500 }, (_, place) => [`device-${place}`, { own: place + 1 }]),
  );
  const account = accountOf({ atMs: 0, boot: 'run-1', numbers, dropped: [] });
  const messages = accountMessages(account, 4000);
  expect(messages.length).toBeGreaterThan(5);
  expect(messages.flatMap(({ devices }) => devices)).toEqual(account.devices);
  for (const message of messages) expect(JSON.stringify(message).length).toBeLessThan(4100);
});

test('dropped ranges that touch are joined, others stand apart', () => {
  const range = (from: number, to: number, reason: 'operator' | 'cut' = 'operator') => ({
    device: 'a',
    boot: 'run-1',
    from,
    to,
    reason,
  });
  const known = [range(1, 2), range(5, 6), range(3, 4, 'cut')].reduce(addDropped, []);
  expect(known).toHaveLength(3);
  expect(addDropped(known, range(3, 4))).toEqual([range(3, 4, 'cut'), range(1, 6)]);
  expect(addDropped(known, range(5, 6))).toHaveLength(3);
});

test('several stores tell one account: each run of the agent by itself, runs of devices over all', () => {
  const main = {
    atMs: 0,
    boot: 'run-2',
    numbers: {
      a: { own: 3 },
      b: { passed: { boot: 'x', next: 130 } },
      c: { passed: { boot: 'y', next: 2 } },
    },
    dropped: [],
  };
  const older = {
    atMs: 0,
    boot: 'run-1',
    numbers: {
      a: { own: 40 },
      b: { passed: { boot: 'x', next: 131 } },
      c: { passed: { boot: 'x', next: 9 } },
      d: { own: 5 },
    },
    dropped: [{ device: 'a', boot: 'run-1', from: 2, to: 4, reason: 'unreadable' as const }],
  };
  expect(accountOfStores([main, older]).devices).toEqual([
    {
      device: 'a',
      boot: 'run-1',
      next: 40,
      dropped: [{ from: 2, to: 4, reason: 'unreadable' }],
    },
    { device: 'd', boot: 'run-1', next: 5, dropped: [] },
    { device: 'b', boot: 'x', next: 131, dropped: [] },
    { device: 'c', boot: 'y', next: 2, dropped: [], previous: { boot: 'x', next: 9 } },
    { device: 'a', boot: 'run-2', next: 3, dropped: [] },
  ]);
});

test('a store that is empty and gone is the run before, for every device that it numbered', () => {
  const numbering = new Numbering({ a: { own: 3 }, b: { passed: { boot: 'x', next: 130 } } });
  numbering.adopt('run-1', {
    a: { own: 40 },
    b: { passed: { boot: 'x', next: 131 } },
    d: { own: 5 },
  });
  const account = accountOf({
    atMs: 0,
    boot: 'run-2',
    numbers: numbering.numbers(),
    dropped: [],
  });
  expect(account.devices).toEqual([
    { device: 'a', boot: 'run-2', next: 3, dropped: [], previous: { boot: 'run-1', next: 40 } },
    { device: 'b', boot: 'x', next: 131, dropped: [] },
    { device: 'd', boot: 'run-2', next: 0, dropped: [], previous: { boot: 'run-1', next: 5 } },
  ]);
});
