import { rm } from 'node:fs/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { get, until } from './support/api.ts';
import { queryLanding } from './support/independent-lake.ts';
import { TestDemo } from './support/test-demo.ts';
import { startGateway, type TestGateway } from './support/test-gateway.ts';

// Promise 2: nothing is dropped in silence. What is lost, refused or repeated stands in the account as what it is.

interface Account {
  readonly totals: Readonly<Record<string, number>>;
  readonly rows: readonly {
    readonly device: string;
    readonly boot: string;
    readonly received: number;
    readonly duplicates: number;
    readonly missing: readonly (readonly [number, number])[];
    readonly complete: boolean;
  }[];
}

const building = 'de-7f3k';
let world: TestDemo;
let gateway: TestGateway;
beforeAll(async () => {
  world = await TestDemo.start({ countries: ['DE'] });
  gateway = await startGateway(world, { country: 'DE', building });
});
afterAll(() => world[Symbol.asyncDispose]());

async function account(): Promise<Account> {
  const { api, tokens } = await world.cell('de');
  const from = new Date(Date.now() - 3_600_000).toISOString();
  const to = new Date(Date.now() + 60_000).toISOString();
  const path = `/v1/buildings/${building}/account?from=${from}&to=${to}&limit=1000`;
  return get<Account>(api, path, tokens.client);
}

/** As a microcontroller posts it to the gateway. */
async function post(device: string, readings: readonly object[]): Promise<void> {
  const response = await fetch(`${gateway.http}/v1/devices/${device}/telemetry`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(readings),
  });
  expect(await response.json()).toEqual({ kept: readings.length });
}

/** Every half second, up to now: a gateway takes the time of a device that is less than two minutes off. */
const numbered = (count: number, temperature: (seq: number) => number) =>
  Array.from({ length: count }, (_, seq) => ({
    boot: 'run-1',
    seq,
    at: Date.now() - 60_000 + seq * 500,
    values: { temperature: temperature(seq) },
  }));
const rowOf = ({ rows }: Account, device: string) => rows.find((row) => row.device === device);

test('repeats are counted, a dropped range is named, a quarantined number is not missing', async () => {
  const dropped = await fetch(`${gateway.admin}/drop`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ device: 'r102-air', from: 5, to: 7 }),
  });
  expect(dropped.ok).toBe(true);
  const steady = numbered(100, () => 21.5);
  await post('r101-air', steady);
  await post('r101-air', steady.slice(0, 5));
  await post(
    'r102-air',
    Array.from({ length: 10 }, () => ({ values: { temperature: 22 } })),
  );
  await post(
    'r103-air',
    numbered(10, (seq) => (seq === 4 ? 999 : 20)),
  );

  const wanted = {
    expected: 120,
    received: 116,
    duplicates: 5,
    quarantined: 1,
    missing: 3,
    unnumbered: 0,
    unreadable: 0,
    landed: 116,
  };
  const settled = await until('the account to settle', account, {
    // All of it: what has landed may be told before the account of the same readings is.
    fits: ({ totals }) => Object.entries(wanted).every(([name, count]) => totals[name] === count),
  });
  expect(settled.totals).toMatchObject(wanted);
  expect(rowOf(settled, 'r101-air')).toMatchObject({ received: 100, duplicates: 5, missing: [] });
  expect(rowOf(settled, 'r102-air')).toMatchObject({ received: 7, missing: [[5, 7]] });
  expect(rowOf(settled, 'r103-air')).toMatchObject({ received: 9, missing: [] });
});

test('a landed object that somebody deletes is missed', async () => {
  const { lake } = await world.cell('de');
  const [file] = await queryLanding(
    lake,
    'select filename, count(distinct (device, boot, seq))::int as readings from {files with names} group by all order by readings limit 1',
  );
  await rm(String(file?.['filename']));
  const left = 116 - Number(file?.['readings']);
  expect(left).toBeLessThan(116);
  const settled = await until('the account to notice', account, {
    fits: ({ totals }) => totals['landed'] === left,
  });
  expect(settled.totals).toMatchObject({ received: 116, landed: left });
});

test('a numbering that ended is complete once a later one has begun and the gateway said so', async () => {
  const later = { boot: 'run-2', seq: 0, at: Date.now(), values: { temperature: 20 } };
  await post('r101-air', [later]);
  const settled = await until('the first run to be complete', account, {
    fits: ({ rows }) =>
      rows.some(({ boot, received }) => boot === 'run-2' && received === 1) &&
      rows.some(
        ({ device, boot, complete }) => device === 'r101-air' && boot === 'run-1' && complete,
      ),
  });
  const ofSecond = settled.rows.find(({ boot }) => boot === 'run-2');
  expect(ofSecond).toMatchObject({ received: 1, missing: [] });
});
