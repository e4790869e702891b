import { expect, test } from 'vitest';
import type { KubeObject } from '../../runtime/kube.ts';
import { devicesIn, devicesTold, seenChanges } from './devices-told.ts';

function building(name: string, devices: object | undefined, registered = 'True'): KubeObject {
  return {
    apiVersion: 'domicile.dev/v1alpha1',
    kind: 'Building',
    metadata: { name, namespace: 'north', uid: name, resourceVersion: '1' },
    status: {
      conditions: [{ type: 'Registered', status: registered }],
      ...(devices && { devices }),
    },
  };
}

const of = { writtenAtMs: new Map<string, number>(), nowMs: 1000, everyMs: 100, changesMax: 10 };
const changed = (buildings: readonly KubeObject[], counts: object, more: Partial<typeof of> = {}) =>
  seenChanges(buildings, new Map(Object.entries(counts)), { ...of, ...more }).map(
    ({ object, devices }) => [object.metadata.name, devices.text],
  );

test('what is seen is told of what is expected, and never more', () => {
  expect(devicesTold(100, undefined)).toEqual({ expected: 100, text: '?/100' });
  expect(devicesTold(100, 98)).toEqual({ expected: 100, seen: 98, text: '98/100' });
  expect(devicesTold(3, 98)).toEqual({ expected: 3, seen: 3, text: '3/3' });
  expect(devicesIn(building('de-a', devicesTold(2, 1)))).toEqual(devicesTold(2, 1));
  expect(devicesIn(building('de-a', undefined))).toBeUndefined();
  expect(devicesIn({ ...building('de-a', {}), status: 'nonsense' })).toBeUndefined();
});

test('only what changed is written, and nothing of whom nobody counted or nobody serves', () => {
  const all = [
    building('de-new', devicesTold(2, undefined)),
    building('de-same', devicesTold(2, 1)),
    building('de-more', devicesTold(2, 1)),
    building('de-uncounted', devicesTold(2, 1)),
    building('de-refused', devicesTold(2, undefined), 'False'),
    building('de-untold', undefined),
  ];
  const counts = { 'de-new': 0, 'de-same': 1, 'de-more': 2, 'de-refused': 2, 'de-untold': 1 };
  expect(changed(all, counts)).toEqual([
    ['de-new', '0/2'],
    ['de-more', '2/2'],
  ]);
  const going = { ...all[0]?.metadata, name: 'de-new', deletionTimestamp: '2026-11-23T07:00:00Z' };
  const [first] = all;
  expect(first && changed([{ ...first, metadata: going }], counts)).toEqual([]);
});

test('one building waits after each write, and all take turns', () => {
  const all = ['de-a', 'de-b', 'de-c', 'de-d'].map((name) => building(name, devicesTold(2, 1)));
  const counts = { 'de-a': 2, 'de-b': 2, 'de-c': 2, 'de-d': 2 };
  const writtenAtMs = new Map([
    ['de-a', 901],
    ['de-b', 900],
    ['de-c', 300],
  ]);
  expect(changed(all, counts, { writtenAtMs, changesMax: 2 })).toEqual([
    ['de-d', '2/2'],
    ['de-c', '2/2'],
  ]);
  expect(changed(all, counts, { writtenAtMs }).map(([name]) => name)).toEqual([
    'de-d',
    'de-c',
    'de-b',
  ]);
});
