import { describe, expect, test, vi } from 'vitest';
import { Bench, type Target } from './bench.ts';
import { allCases } from './cases.ts';
import { titleOf } from './title.ts';

const tests = allCases.flatMap((each) => [
  ...(each.v3 === undefined ? [] : [{ title: titleOf(each, 4), each, version: 4 as const }]),
  ...(each.v5 === undefined ? [] : [{ title: titleOf(each, 5), each, version: 5 as const }]),
]);

/** Registers a test for each statement and version. They run side by side: each has names of its own. */
export function conformanceSuite(name: string, target: () => Target): void {
  // They wait most of their time.
  vi.setConfig({ maxConcurrency: 48 });
  describe.each([name])('%s', () => {
    test.concurrent.each(tests)('$title', async ({ each, version }) => {
      using bench = new Bench(target(), version);
      expect(await each.run(bench)).toBeUndefined();
    });
  });
}
