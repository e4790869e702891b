import { expect, test } from 'vitest';
import { accountWords, missingNumbers } from './account.ts';
import { accountTotalsSchema, type AccountRow } from './answers.ts';

const row: AccountRow = {
  device: 'r101-air',
  boot: '01JD9T',
  received: 10,
  duplicates: 0,
  missing: [],
  complete: true,
};

function totals(given: Record<string, number | null>) {
  return accountTotalsSchema.parse(given);
}

test.each([
  [{ expected: 120_345, missing: 3 }, 'Of 120,345 readings expected, all but 3 arrived.'],
  [{ expected: 120_345, missing: 0 }, 'All 120,345 readings expected arrived.'],
  [{ expected: 1, missing: 0 }, 'The one reading expected arrived.'],
  [{ expected: 7, missing: 7 }, 'None of the 7 readings expected arrived.'],
  [{ expected: 0, missing: 0 }, 'No numbered reading was expected in this time.'],
])('the headline of %j', (given, headline) => {
  expect(accountWords({ totals: totals(given), rows: [] }).headline).toBe(headline);
});

test('what else happened is said once each, and what did not happen is not said', () => {
  const happened = { duplicates: 41, quarantined: 1, unnumbered: 2, unreadable: 1, landed: 1200 };
  const { notes } = accountWords({
    totals: totals({ expected: 1300, missing: 0, ...happened }),
    rows: [{ ...row, complete: false }],
  });
  expect(notes).toEqual([
    '1 reading could not be used and is set aside with the reason.',
    '41 readings came more than once and counted once.',
    '2 readings carried no number, so nobody can tell whether one is missing between them.',
    '1 message could not be read at all and is set aside.',
    '1,200 readings are in the archive; the newest follow in minutes.',
    'The newest readings are still being counted: gateways report once a minute.',
  ]);
  expect(accountWords({ totals: totals({ expected: 5 }), rows: [row] }).notes).toEqual([]);
});

test.for([
  [{ landed: 0, expired: 0 }, ['None is in the archive yet; they follow in minutes.']],
  [
    { landed: 0, expired: 7 },
    ['7 readings are in the archive no more: kept for as long as was agreed.'],
  ],
  [
    { landed: 2, expired: 1 },
    [
      '2 readings are in the archive; the newest follow in minutes.',
      '1 reading is in the archive no more: kept for as long as was agreed.',
    ],
  ],
] as const)('the archive of %j', ([given, notes]) => {
  const told = accountWords({ totals: totals({ expected: 9, ...given }), rows: [row] });
  expect(told.notes).toEqual(notes);
});

test('missing numbers are listed by device, the worst first', () => {
  const missing = missingNumbers([
    row,
    { ...row, device: 'a', missing: [[981, 981]] },
    {
      ...row,
      device: 'b',
      missing: [
        [402, 403],
        [981, 981],
        [10_000, 10_009],
      ],
    },
  ]);
  expect(missing).toEqual([
    { device: 'b', boot: '01JD9T', readings: 13, numbers: '402–403, 981 and 10,000–10,009' },
    { device: 'a', boot: '01JD9T', readings: 1, numbers: '981' },
  ]);
});
