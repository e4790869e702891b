import { expect, test } from 'vitest';
import { landingKey, ledgerKey } from './landing-key.ts';
import { retainedDataPrefixes } from './retained-data.ts';
import { summaryFolder, summarySnapshotKey } from './summary-manifest.ts';

test('what goes when its time is over is data, and never what readers find their way by', () => {
  const goes = (key: string) => retainedDataPrefixes.some((prefix) => key.startsWith(prefix));
  const range = { stream: 'readings', partition: 0, first: 0n, last: 9n } as const;
  expect(goes(landingKey(range, 0))).toBe(true);
  expect(goes(`${summaryFolder('PT1H')}data/x.parquet`)).toBe(true);
  for (const ledger of ['_plans', '_manifest'] as const)
    expect(goes(ledgerKey({ ...range, ledger }, 0n))).toBe(false);
  expect(goes(summarySnapshotKey('PT1M', 1))).toBe(false);
  expect(goes(`${summaryFolder('PT1M')}latest.json`)).toBe(false);
});
