import { expect, test } from 'vitest';
import { type ErasureFacts, erasureStep, expectedEndMs } from './erasure-step.ts';

const times = { settleMs: 10, kafkaRetentionMs: 1000, softDeleteMs: 100 };
const facts: ErasureFacts = {
  farewell: { deletionPolicy: 'Delete', exportBeforeDelete: false, legalHold: false },
  nowMs: 0,
  revokedAtMs: 0,
  done: {},
  times,
};
const farewell = (of: Partial<ErasureFacts['farewell']>) => ({ ...facts.farewell, ...of });
const erase = { finishedAtMs: 20, objects: 5 };

test.each<[string, Partial<ErasureFacts>, object]>([
  ['Retain', { farewell: farewell({ deletionPolicy: 'Retain' }) }, { kind: 'retain' }],
  ['a legal hold', { farewell: farewell({ legalHold: true }), nowMs: 5000 }, { kind: 'held' }],
  ['what is on its way', { nowMs: 9 }, { kind: 'settle', untilMs: 10 }],
  ['nothing done', { nowMs: 10 }, { kind: 'run', pass: 'erase' }],
  [
    'an export that is asked for',
    { nowMs: 10, farewell: farewell({ exportBeforeDelete: true }) },
    { kind: 'run', pass: 'export' },
  ],
  [
    'an export that is there',
    {
      nowMs: 10,
      farewell: farewell({ exportBeforeDelete: true }),
      done: { export: { finishedAtMs: 11, objects: 0 } },
    },
    { kind: 'run', pass: 'erase' },
  ],
  [
    'an export that is asked for too late',
    { nowMs: 30, farewell: farewell({ exportBeforeDelete: true }), done: { erase } },
    { kind: 'wait', untilMs: 1010 },
  ],
  ['erased', { nowMs: 30, done: { erase } }, { kind: 'wait', untilMs: 1010 }],
  [
    'erased late',
    { nowMs: 1010, done: { erase: { ...erase, finishedAtMs: 990 } } },
    { kind: 'wait', untilMs: 1090 },
  ],
  ['forgotten by Kafka', { nowMs: 1010, done: { erase } }, { kind: 'run', pass: 'verify' }],
  [
    'verified',
    { nowMs: 1020, done: { erase, verify: { finishedAtMs: 1015, objects: 0 } } },
    { kind: 'certify', ends: { kafkaUntilMs: 1010, softDeleteUntilMs: 120 } },
  ],
  [
    'something found late',
    { nowMs: 1020, done: { erase, verify: { finishedAtMs: 1015, objects: 1 } } },
    { kind: 'wait', untilMs: 1115 },
  ],
  [
    'that forgotten too',
    { nowMs: 1115, done: { erase, verify: { finishedAtMs: 1015, objects: 1 } } },
    { kind: 'certify', ends: { kafkaUntilMs: 1010, softDeleteUntilMs: 1115 } },
  ],
])('%s', (_what, of, expected) => {
  expect(erasureStep({ ...facts, ...of })).toEqual(expected);
});

test('what was deleted while the store kept it longer is waited for as long', () => {
  const now = { ...times, softDeleteMs: 0 };
  const kept = { ...erase, softDeleteMs: 3000 };
  const of = { ...facts, times: now, nowMs: 1010, done: { erase: kept } };
  expect(expectedEndMs(of)).toBe(3020);
  expect(erasureStep(of)).toEqual({ kind: 'wait', untilMs: 3020 });
  const verify = { finishedAtMs: 3030, objects: 1, softDeleteMs: 50 };
  const late = { ...of, nowMs: 3040, done: { erase: kept, verify } };
  expect(erasureStep(late)).toEqual({ kind: 'wait', untilMs: 3080 });
  expect(erasureStep({ ...late, nowMs: 3080 })).toMatchObject({
    kind: 'certify',
    ends: { softDeleteUntilMs: 3080 },
  });
});

test('a hold that comes late stops what is not done yet', () => {
  const held = { ...facts, farewell: farewell({ legalHold: true }) };
  for (const done of [{}, { erase }, { erase, verify: erase }])
    expect(erasureStep({ ...held, nowMs: 5000, done })).toEqual({ kind: 'held' });
});

test('the end is told from the beginning', () => {
  expect(expectedEndMs(facts)).toBe(1010);
  expect(expectedEndMs({ ...facts, done: { erase: { ...erase, finishedAtMs: 2000 } } })).toBe(2100);
});
