import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { Case } from './bench.ts';
import { allCases } from './cases.ts';
import { standards } from './clauses.ts';
import { conformanceTable } from './table.ts';
import { titleOf } from './title.ts';

const root = join(import.meta.dirname, '../../../..');

function numbersOf({ v5, v3 }: Case, version: 4 | 5): string[] {
  return ((version === 5 ? v5 : v3) ?? '').split(' ').filter((number) => number !== '');
}

test.each(standards)(
  'each clause of $title has a test, and each test a clause',
  ({ version, clauses }) => {
    const tested = new Set(allCases.flatMap((each) => numbersOf(each, version)));
    expect([...tested].filter((number) => !(number in clauses))).toEqual([]);
    expect(Object.keys(clauses).filter((number) => !tested.has(number))).toEqual([]);
  },
);

test.each(standards)('no clause of $title stands twice', ({ clauses, otherwise }) => {
  expect(Object.keys(otherwise).filter((number) => number in clauses)).toEqual([]);
});

test('every test names a clause, once, and no two have the same title', () => {
  expect(allCases.filter(({ v3, v5 }) => v3 === undefined && v5 === undefined)).toEqual([]);
  const numbers = allCases.flatMap((each) => [numbersOf(each, 4), numbersOf(each, 5)]);
  expect(numbers.filter((each) => new Set(each).size < each.length)).toEqual([]);
  const titles = allCases.flatMap((each) => [titleOf(each, 4), titleOf(each, 5)]);
  expect(new Set(titles).size).toBe(titles.length);
});

test('what is shown elsewhere is shown there', () => {
  const elsewhere = standards
    .flatMap(({ otherwise }) => Object.values(otherwise))
    .flatMap(({ because }) => (typeof because === 'string' ? [] : [because]));
  expect(elsewhere).not.toEqual([]);
  expect(
    elsewhere.filter(({ file, test: name }) => {
      return !readFileSync(join(root, file), 'utf8').includes(`'${name}'`);
    }),
  ).toEqual([]);
});

// `docs/api/mqtt-conformance.md` is made of the kit: `npx vitest run --project unit platform/mqtt/src/conformance -u`.
test('the table of what holds is what the kit tests', async () => {
  const file = join(root, 'docs/api/mqtt-conformance.md');
  await expect(conformanceTable()).toMatchFileSnapshot(file);
});
