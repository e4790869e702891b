import { PlatformError } from '@domicile/core/errors.ts';
import { expect, test } from 'vitest';
import { buildingKind, cellKind } from '../../model/kinds.ts';
import { createDevicesSeen } from './devices-seen.ts';
import { buildingSpec, testHouse } from './test-house.ts';

const cell = { name: 'de' };
const de7 = { name: 'de-7f3k', namespace: 'north' };

async function house() {
  const { kube, ports, declare, look, pass } = testHouse();
  declare('de-7f3k');
  await look('de-7f3k');
  let counted: Record<string, number> | PlatformError = { 'de-7f3k': 0 };
  const seen = createDevicesSeen(ports, {
    everyMs: 30_000,
    writeEveryMs: 60_000,
    ask: async () => {
      if (counted instanceof PlatformError) throw counted;
      return new Map(Object.entries(counted));
    },
  });
  const count = (next: typeof counted) => {
    counted = next;
    pass(30_000);
    return seen.reconcile(cell, kube.seen(cellKind, cell), AbortSignal.timeout(10_000));
  };
  const told = () => kube.seen(buildingKind, de7)?.['status'];
  return { kube, ports, declare, look, count, told };
}

test('what the serving API counts is told, a change a minute, and nothing is written for the same', async () => {
  const { kube, look, count, told } = await house();
  expect(await count({ 'de-7f3k': 1 })).toEqual({ kind: 'again', afterMs: 30_000 });
  expect(told()).toMatchObject({ devices: { expected: 3, seen: 1, text: '1/3' } });
  const writes = kube.writes.length;
  await count({ 'de-7f3k': 2 });
  expect(kube.writes.length).toBe(writes);
  await count({ 'de-7f3k': 2 });
  expect(told()).toMatchObject({ devices: { expected: 3, seen: 2, text: '2/3' } });
  const settled = kube.writes.length;
  for (let times = 0; times < 5; times += 1) await count({ 'de-7f3k': 2 });
  await look('de-7f3k');
  expect(kube.writes.length).toBe(settled);
});

test('a serving API that is away leaves what was told, and says so by a metric', async () => {
  const { kube, ports, count, told } = await house();
  await count({ 'de-7f3k': 3 });
  const writes = kube.writes.length;
  const away = new PlatformError('UPSTREAM_UNAVAILABLE', 'Cannot count devices: no answer');
  expect(await count(away)).toEqual({ kind: 'again', afterMs: 30_000 });
  expect(told()).toMatchObject({ devices: { seen: 3 } });
  expect(kube.writes.length).toBe(writes);
  const metrics = await ports.registry.metrics();
  expect(metrics).toContain('domicile_devices_seen_asks_total{result="told"} 1');
  expect(metrics).toContain('domicile_devices_seen_asks_total{result="not-told"} 1');
});

test('a change of the spec keeps what was seen, and a rival tells nothing of it', async () => {
  const { kube, declare, look, count, told } = await house();
  await count({ 'de-7f3k': 3 });
  declare('de-7f3k', 'north', {
    ...buildingSpec,
    floors: { '1': { rooms: { 'r1[01-02]': { type: 'office' } } } },
  });
  await look('de-7f3k');
  expect(told()).toMatchObject({ devices: { expected: 2, seen: 2, text: '2/2' } });
  declare('de-7f3k', 'south');
  await look('de-7f3k', 'south');
  await count({ 'de-7f3k': 1 });
  await count({ 'de-7f3k': 1 });
  const rival = kube.seen(buildingKind, { name: 'de-7f3k', namespace: 'south' });
  expect(rival?.['status']).toMatchObject({ devices: { text: '?/3' } });
  expect(told()).toMatchObject({ devices: { text: '1/2' } });
});

test('a building that changed meanwhile is nobody’s failure, and its turn comes again', async () => {
  const { kube, count, told } = await house();
  kube.refuse = (kind) => {
    if (kind === buildingKind) throw new PlatformError('CONFLICT', 'Cannot write: it has changed');
  };
  expect(await count({ 'de-7f3k': 1 })).toMatchObject({ kind: 'again' });
  kube.refuse = () => undefined;
  await count({ 'de-7f3k': 1 });
  expect(told()).toMatchObject({ devices: { seen: 1 } });
});
