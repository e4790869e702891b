import { parseTelemetry } from '@domicile/core/telemetry.ts';
import { expect, test } from 'vitest';
import { clockOffMsMax, numbered, prepareReadings, timed } from './reading.ts';

const nowMs = Date.parse('2026-11-24T07:00:00.000Z');
const live = { at: nowMs, trustTime: false };
const bytesOf = (text: string) => new TextEncoder().encode(text);

function bodyOf(payload: string, arrival = live): unknown {
  const [reading] = prepareReadings(bytesOf(payload), arrival);
  if (reading?.kind === 'own') return JSON.parse(numbered(reading.text, { boot: 'run-1', seq: 7 }));
  return reading?.kind === 'passed' ? JSON.parse(reading.text) : reading;
}

test('a reading without time and number gets both, and says whose clock it was', () => {
  expect(bodyOf('{"values":{"co2":612}}')).toEqual({
    boot: 'run-1',
    seq: 7,
    at: '2026-11-24T07:00:00.000Z',
    timeSource: 'gateway',
    values: { co2: 612 },
  });
});

test('a number that the device gave is left alone', () => {
  const sent = { boot: 'a', seq: 3, at: nowMs, values: { co2: 612 } };
  expect(prepareReadings(bytesOf(JSON.stringify(sent)), live)).toEqual([
    { kind: 'passed', boot: 'a', seq: 3, text: JSON.stringify(sent) },
  ]);
});

test.each([
  ['ahead', clockOffMsMax + 1, true],
  ['behind', -clockOffMsMax - 1, true],
  ['nearly right', clockOffMsMax, false],
])('a clock that is %s', (_how, offMs, isRestamped) => {
  const at = new Date(nowMs + offMs).toISOString();
  const body = bodyOf(JSON.stringify({ at, values: { co2: 612 } }));
  expect(body).toMatchObject(
    isRestamped
      ? { at: '2026-11-24T07:00:00.000Z', deviceAt: at, timeSource: 'gateway' }
      : { at, values: { co2: 612 } },
  );
  expect(body).toHaveProperty('values.co2', 612);
});

test('a time that is to be believed is, however old', () => {
  const at = '2015-02-02T14:19:00Z';
  const payload = JSON.stringify({ at, values: { co2: 612 } });
  expect(bodyOf(payload, { at: nowMs, trustTime: true })).toEqual({
    boot: 'run-1',
    seq: 7,
    at,
    values: { co2: 612 },
  });
});

test('an array is cut into its readings, in order', () => {
  const payload = '[{"values":{"v":1}},3,{"boot":"a","seq":0,"values":{"v":2}}]';
  expect(prepareReadings(bytesOf(payload), live).map(({ kind }) => kind)).toEqual([
    'own',
    'opaque',
    'passed',
  ]);
});

test.each([
  '',
  '{',
  '[]',
  '"text"',
  '[',
  '{"boot":"a","values":{}}',
  '{"boot":"a","seq":-1,"values":{}}',
])('what is no reading goes up as it came: %j', (payload) => {
  const [reading] = prepareReadings(bytesOf(payload), live);
  expect(reading?.kind).toBe('opaque');
});

test('bytes that are no text go up as they came', () => {
  const bytes = Uint8Array.of(0x7b, 0xff, 0x7d);
  expect(prepareReadings(bytes, live)).toEqual([{ kind: 'opaque', bytes }]);
});

test('a number beyond all doubles reaches the cell as it was sent', () => {
  const [reading] = prepareReadings(bytesOf('{"values":{"co2":1e400}}'), live);
  expect(reading).toMatchObject({ kind: 'own' });
  expect(reading?.kind === 'own' && reading.text).toContain('1e400');
});

test.each(['{}', ' { } ', '{"boot":null,"seq":null,"at":null,"values":{"v":true}}'])(
  'what is numbered is read by the cell as numbered: %s',
  (payload) => {
    const [reading] = prepareReadings(bytesOf(payload), live);
    const text = reading?.kind === 'own' ? reading.text : '';
    const parsed = parseTelemetry(bytesOf(numbered(text, { boot: 'run-1', seq: 7 })));
    const numbers = [...parsed.readings, ...parsed.faults.map(({ number }) => number)];
    expect(numbers).toEqual([expect.objectContaining({ boot: 'run-1', seq: 7 })]);
  },
);

const before = { at: { osBoot: 'b', monotonicMs: 5000 }, trustTime: false };

test.each([
  ['none', '{"values":{"v":1}}', { values: { v: 1 } }],
  ['null', '{"at":null,"values":{"v":1}}', { values: { v: 1 } }],
  ['one of 1970', '{"at":1000,"values":{"v":1}}', { deviceAt: 1000, values: { v: 1 } }],
])(
  'before the time is known, a reading with %s of its own waits for one',
  (_which, payload, kept) => {
    const [reading] = prepareReadings(bytesOf(payload), before);
    expect(reading).toMatchObject({ kind: 'own', untimed: before.at });
    const text = reading?.kind === 'own' ? reading.text : '';
    expect(JSON.parse(text)).toEqual(kept);
    expect(JSON.parse(timed(text, nowMs))).toEqual({
      at: '2026-11-24T07:00:00.000Z',
      timeSource: 'gateway',
      ...kept,
    });
  },
);

test('before the time is known, a time that may be right is left alone', () => {
  const payload = `{"at":${nowMs - 86_400_000},"values":{"v":1}}`;
  expect(prepareReadings(bytesOf(payload), before)).toEqual([{ kind: 'own', text: payload }]);
});

test('how far a clock is off is measured', () => {
  const payload = `{"at":${nowMs - 3_600_000},"values":{"v":1}}`;
  expect(prepareReadings(bytesOf(payload), live)).toMatchObject([{ offMs: -3_600_000 }]);
});
