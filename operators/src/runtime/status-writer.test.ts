import { expect, test } from 'vitest';
import type { Kube, KubeObject } from './kube.ts';
import { conditionsOf, createStatusWriter } from './status-writer.ts';
import { thingKind } from './test-fake-api.ts';

const noon = Date.parse('2026-11-27T12:00:00Z');

/** Notes patches and answers as if they were made. */
function writer(now = noon) {
  const patches: unknown[] = [];
  const unexpected = () => {
    throw new Error('only the status is written');
  };
  const kube: Kube = {
    get: unexpected,
    list: unexpected,
    apply: unexpected,
    create: unexpected,
    delete: unexpected,
    patch: async (_kind, _ref, patch) => {
      patches.push(patch);
      return thing();
    },
  };
  return { patches, status: createStatusWriter(kube, () => now) };
}

function thing(status?: unknown, generation = 3): KubeObject {
  const metadata = { name: 'a', namespace: 'here', resourceVersion: '7', generation };
  return { apiVersion: 'fake.test/v1', kind: 'Thing', metadata, status };
}

const ready = { type: 'Ready', status: 'True', reason: 'Made', message: 'all is there' } as const;
const stored = { ...ready, observedGeneration: 3, lastTransitionTime: '2026-11-27T08:00:00Z' };

test('the first status is written with the version that was seen', async () => {
  const { patches, status } = writer();
  await status.write(thingKind, thing(), { conditions: [ready], fields: { devices: 4 } });
  expect(patches).toEqual([
    {
      metadata: { resourceVersion: '7' },
      status: {
        devices: 4,
        observedGeneration: 3,
        conditions: [{ ...stored, lastTransitionTime: '2026-11-27T12:00:00Z' }],
      },
    },
  ]);
});

test('what is said again is not written', async () => {
  const { patches, status } = writer();
  const seen = thing({ devices: 4, observedGeneration: 3, conditions: [stored] });
  const answer = await status.write(thingKind, seen, {
    conditions: [ready],
    fields: { devices: 4 },
  });
  expect(patches).toEqual([]);
  expect(answer).toBe(seen);
});

test('only what differs is written: a message keeps its time, a field that is left out goes', async () => {
  const { patches, status } = writer();
  const other = { ...stored, type: 'Enrolled' };
  const seen = thing({ devices: 4, observedGeneration: 3, conditions: [stored, other] });
  const now = { ...ready, message: 'all is there again' };
  await status.write(thingKind, seen, { conditions: [now] });
  expect(patches).toEqual([
    {
      metadata: { resourceVersion: '7' },
      status: {
        devices: null,
        conditions: [{ ...stored, message: 'all is there again' }, other],
      },
    },
  ]);
});

test('conditions that are none are passed over', () => {
  expect(conditionsOf(thing({ conditions: ['x', { type: 1 }, stored] }))).toEqual([stored]);
  expect(conditionsOf(thing('text'))).toEqual([]);
});
