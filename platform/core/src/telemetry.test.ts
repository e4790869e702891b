import { expect, test } from 'vitest';
import { parseTelemetry, parseTime } from './telemetry.ts';

const bytes = (value: unknown) =>
  new TextEncoder().encode(typeof value === 'string' ? value : JSON.stringify(value));

test('the payload of the contract is read', () => {
  const payload =
    '{"boot":"01JD9T","seq":1842,"at":"2026-11-23T07:00:00.123Z","values":{"temperature":21.4,"co2":612,"on":true,"mode":"eco"},"extra":1}';
  expect(parseTelemetry(bytes(payload))).toEqual({
    readings: [
      {
        pointer: '',
        boot: '01JD9T',
        seq: 1842,
        atMs: Date.UTC(2026, 10, 23, 7, 0, 0, 123),
        values: [
          ['temperature', 21.4],
          ['co2', 612],
          ['on', true],
          ['mode', 'eco'],
        ],
        timeSource: 'device',
      },
    ],
    faults: [],
  });
});

test.each([
  ['{"values":{"t":NaN}}', 'not-json'],
  ['', 'payload-empty'],
  [' ', 'not-json'],
  ['[]', 'payload-empty'],
  ['3', 'not-an-object'],
  ['null', 'not-an-object'],
  ['{}', 'values-missing'],
  ['{"values":{}}', 'values-missing'],
  ['{"values":[1]}', 'values-missing'],
  ['{"values":{"t":1},"at":"yesterday"}', 'time-invalid'],
  ['{"values":{"t":1},"at":"2026-02-30T00:00:00Z"}', 'time-invalid'],
  ['{"values":{"t":1},"at":"2026-02-03T00:00:00"}', 'time-invalid'],
  ['{"values":{"t":1},"boot":"a"}', 'numbering-invalid'],
  ['{"values":{"t":1},"seq":1}', 'numbering-invalid'],
  ['{"values":{"t":1},"boot":"a","seq":1.5}', 'numbering-invalid'],
  ['{"values":{"t":1},"boot":"a","seq":9007199254740992}', 'numbering-invalid'],
  [`{"values":{"t":1},"boot":"${'a'.repeat(41)}","seq":1}`, 'numbering-invalid'],
  [JSON.stringify(Array.from({ length: 1001 }, () => ({ values: { t: 1 } }))), 'too-many-readings'],
])('%s is refused as a whole: %s', (payload, reason) => {
  const { readings, faults } = parseTelemetry(bytes(payload));
  expect(readings).toEqual([]);
  expect(faults).toMatchObject([{ pointer: '', reason }]);
});

test('what is not UTF-8 is refused', () => {
  expect(parseTelemetry(Uint8Array.of(0x22, 0xff, 0x22)).faults).toMatchObject([
    { reason: 'not-utf8' },
  ]);
});

test('a bad value is told by its place, and the rest of the reading goes on', () => {
  const payload = `{"boot":"b","seq":1,"values":{"co2":1e400,"t":20,"__proto__":3,"x":null,"Bad/Name":1,"s":"${'x'.repeat(257)}"}}`;
  const { readings, faults } = parseTelemetry(bytes(payload));
  expect(readings).toMatchObject([{ values: [['t', 20]], boot: 'b', seq: 1 }]);
  expect(faults.map(({ pointer, reason, number }) => [pointer, reason, number])).toEqual([
    ['/values/co2', 'value-not-finite', null],
    ['/values/__proto__', 'metric-name-invalid', null],
    ['/values/x', 'value-type-invalid', null],
    ['/values/Bad~1Name', 'metric-name-invalid', null],
    ['/values/s', 'value-too-long', null],
  ]);
});

test('the number is lost with a reading of which nothing is left, once', () => {
  const { readings, faults } = parseTelemetry(
    bytes([{ values: { t: 1 } }, { boot: 'b', seq: 7, values: { t: null, u: null } }]),
  );
  expect(readings).toHaveLength(1);
  expect(faults.map(({ pointer, number }) => [pointer, number])).toEqual([
    ['/1/values/t', { boot: 'b', seq: 7 }],
    ['/1/values/u', null],
  ]);
});

test('a bad element of a thousand costs itself alone', () => {
  const elements: unknown[] = Array.from({ length: 1000 }, (_, seq) => ({
    boot: 'b',
    seq,
    values: { t: seq },
  }));
  elements[500] = 'rubbish';
  const { readings, faults } = parseTelemetry(bytes(elements));
  expect(readings).toHaveLength(999);
  expect(faults).toMatchObject([{ pointer: '/500', reason: 'not-an-object' }]);
});

test('times', () => {
  expect(parseTime('2026-11-23T08:00:00+01:00')).toBe(Date.UTC(2026, 10, 23, 7));
  expect(parseTime('2026-11-23t07:00:00.123456789z')).toBe(Date.UTC(2026, 10, 23, 7, 0, 0, 123));
  expect(parseTime('2024-02-29T00:00:00Z')).toBe(Date.UTC(2024, 1, 29));
  expect(parseTime('2026-13-01T00:00:00Z')).toBeUndefined();
  expect(parseTime('2026-11-23')).toBeUndefined();
  expect(parseTelemetry(bytes('{"at":1700000000000.7,"values":{"t":1}}')).readings[0]?.atMs).toBe(
    1_700_000_000_000,
  );
  expect(parseTelemetry(bytes('{"values":{"t":1}}')).readings[0]?.atMs).toBeNull();
});
