import { expect, test } from 'vitest';
import { KubeEventRecorder } from './event-recorder.ts';
import type { Kube, KubeObject } from './kube.ts';

function recorder(create: Kube['create']) {
  const unexpected = () => {
    throw new Error('events are only created');
  };
  const kube: Kube = {
    get: unexpected,
    list: unexpected,
    apply: unexpected,
    patch: unexpected,
    delete: unexpected,
    create,
  };
  const lost: unknown[] = [];
  const made = new KubeEventRecorder({
    kube,
    controller: 'operator',
    instance: 'operator-1',
    lost: (error) => void lost.push(error),
  });
  return { made, lost };
}

function cell(uid: string, namespace?: string): KubeObject {
  const metadata = { name: 'de', uid, ...(namespace !== undefined && { namespace }) };
  return { apiVersion: 'domicile.dev/v1alpha1', kind: 'Cell', metadata };
}

const event = {
  type: 'Warning',
  reason: 'Abroad',
  action: 'Verify',
  note: 'it is abroad',
} as const;

async function settled(): Promise<void> {
  for (let n = 0; n < 50; n += 1) await Promise.resolve();
}

test('an event names whom it regards, in its namespace or in default', async () => {
  const events: KubeObject[] = [];
  const { made } = recorder(async (_kind, object) => {
    events.push(object);
    return object;
  });
  made.record(cell('1'), event);
  made.record(cell('2', 'here'), { ...event, note: 'x'.repeat(2_000) });
  await settled();
  expect(events.map(({ metadata }) => metadata.namespace)).toEqual(['default', 'here']);
  expect(events[0]).toMatchObject({
    reportingController: 'operator',
    reportingInstance: 'operator-1',
    regarding: { kind: 'Cell', name: 'de', uid: '1' },
    note: 'it is abroad',
  });
  expect(String(events[1]?.['note'])).toHaveLength(1_024);
});

test('the same is said once, and of one object not without end', async () => {
  const notes: unknown[] = [];
  const { made } = recorder(async (_kind, object) => {
    notes.push(object['note']);
    return object;
  });
  for (let n = 0; n < 5; n += 1) made.record(cell('1'), event);
  for (let n = 0; n < 50; n += 1) made.record(cell('2'), { ...event, note: `${n}` });
  await settled();
  expect(notes).toHaveLength(1 + 20);
});

test('a warning is said however much else was said of the object', async () => {
  const notes: unknown[] = [];
  const { made } = recorder(async (_kind, object) => {
    notes.push(object['note']);
    return object;
  });
  for (let n = 0; n < 50; n += 1)
    made.record(cell('1'), { ...event, type: 'Normal', note: `${n}` });
  made.record(cell('1'), event);
  await settled();
  expect(notes).toHaveLength(20 + 1);
  expect(notes.at(-1)).toBe('it is abroad');
});

test('an event that cannot be written is lost, and the next is written', async () => {
  let calls = 0;
  const { made, lost } = recorder(async (_kind, object) => {
    calls += 1;
    if (calls === 1) throw new Error('forbidden');
    return object;
  });
  made.record(cell('1'), event);
  made.record(cell('1'), { ...event, reason: 'Home' });
  await settled();
  expect([calls, lost.length]).toEqual([2, 1]);
});
