import type { AccountEntry } from '@domicile/core/account.ts';
import { accountReportSchema, tickSchema } from '@domicile/core/streams.ts';
import { describe, expect, test } from 'vitest';
import { strangersPerBuildingMax } from './building-state.ts';
import { CommitDraft, type Received } from './commit-draft.ts';
import { PartitionState } from './partition-state.ts';
import { refine } from './refine.ts';
import { knownBuilding } from './registry.ts';
import { testBuilding } from './simulation.ts';

const nowMs = Date.UTC(2026, 5, 1, 12);
const dayMs = 86_400_000;
const served = testBuilding('de-a', nowMs - 60_000);
const gone = { ...testBuilding('de-gone', 0), state: 'offboarded' as const };
const known = new Map([served, gone].map((record) => [record.id, knownBuilding(record)]));

function bench() {
  const state = new PartitionState();
  const draft = new CommitDraft();
  let offset = 0;
  const take = (payload: unknown, more: Partial<Received> = {}) => {
    const value = payload instanceof Uint8Array ? payload : Buffer.from(JSON.stringify(payload));
    const received: Received = {
      stream: 'telemetry',
      partition: 3,
      offset,
      receivedAtMs: nowMs,
      building: 'de-a',
      device: 'd1',
      schema: 'telemetry/1',
      value,
      ...more,
    };
    offset += 1;
    refine({ known, state, draft }, received);
  };
  const account = () =>
    draft.accountRecords().flatMap(({ entries }): AccountEntry[] => [...entries]);
  return { state, draft, take, account };
}

const reading = (more: object = {}) => ({
  boot: 'b',
  seq: 0,
  at: nowMs - 1e3,
  values: { temperature: 20 },
  ...more,
});

describe('a clean reading', () => {
  test('is joined with where its device stood when it was measured', () => {
    const { draft, take } = bench();
    take([reading({ at: nowMs - 61_000 }), reading({ seq: 1 })], { device: 'd0' });
    expect(
      draft.readings.map(({ room, floor, client, type }) => [room, floor, client, type]),
    ).toEqual([
      ['r0', '1', 'acme', 'thermostat'],
      ['r9', '2', 'acme', 'thermostat'],
    ]);
    expect(draft.readings[0]).toMatchObject({
      values: { temperature: 20 },
      units: { temperature: 'Cel' },
    });
  });

  test('says whose clock told its time', () => {
    const { draft, take } = bench();
    take([reading(), reading({ seq: 1, at: null }), reading({ seq: 2, timeSource: 'gateway' })]);
    expect(
      draft.readings.map(({ timeSource, measuredAtMs }) => [timeSource, measuredAtMs]),
    ).toEqual([
      ['device', nowMs - 1000],
      ['cell', nowMs],
      ['gateway', nowMs - 1000],
    ]);
  });
});

describe('what is not taken in', () => {
  test.each([
    ['unknown-building', reading(), { building: 'de-none' }],
    ['unknown-building', reading(), { building: 'de-gone' }],
    ['unknown-device', reading(), { device: 'd99' }],
    ['time-ahead', reading({ at: nowMs + 300_001 }), {}],
    ['time-too-old', reading({ at: nowMs - 400 * dayMs - 1, boot: null, seq: null }), {}],
    ['too-old-to-deduplicate', reading({ at: nowMs - 40 * dayMs - 1 }), {}],
    ['unknown-metric', reading({ values: { pressure: 3 } }), {}],
    ['unknown-metric', reading({ values: { constructor: 3 } }), {}],
    ['out-of-range', reading({ values: { temperature: 85.01 } }), {}],
    ['value-type-invalid', reading({ values: { temperature: true } }), {}],
    ['value-type-invalid', reading({ values: { heating: 1 } }), {}],
    ['not-json', Buffer.from('{'), {}],
    ['account-invalid', { devices: 'all' }, { schema: accountReportSchema, device: 'gateway' }],
  ])('%s', (reason, payload, more) => {
    const { draft, take } = bench();
    take(payload, more);
    expect(draft.readings).toEqual([]);
    expect(draft.quarantined).toMatchObject([{ reason, partition: 3, stream: 'telemetry' }]);
  });

  test.each([
    ['the latest time', reading({ at: nowMs + 300_000 })],
    ['the earliest time', reading({ at: nowMs - 400 * dayMs, boot: null, seq: null })],
    ['the earliest time with a number', reading({ at: nowMs - 40 * dayMs })],
    ['the highest value', reading({ values: { temperature: 85 } })],
    ['the lowest value', reading({ values: { temperature: -40 } })],
  ])('leaves %s', (_, payload) => {
    const { draft, take } = bench();
    take(payload);
    expect(draft.readings).toHaveLength(1);
    expect(draft.quarantined).toEqual([]);
  });

  test('a bad value leaves the rest of its reading, a bad element the rest of its array', () => {
    const { draft, take, account } = bench();
    take([reading({ values: { temperature: 20, co2: 1 } }), 7, reading({ seq: 1 })]);
    expect(draft.readings).toHaveLength(2);
    expect(draft.quarantined.map(({ pointer, reason, seq }) => [pointer, reason, seq])).toEqual([
      ['/0/values/co2', 'unknown-metric', null],
      ['/1', 'not-an-object', null],
    ]);
    expect(account()).toMatchObject([{ device: 'd1', unreadable: 1, quarantined: [] }]);
  });

  test.each([
    ['a value', (deep: string) => `{"boot":"b","seq":0,"values":{"temperature":${deep}}}`],
    ['a reading', (deep: string) => deep],
    ['an element', (deep: string) => `[${deep},${deep}]`],
    ['a field of a stranger', (deep: string) => `{"values":{"temperature":1},"x":${deep}}`],
    ['a time', (deep: string) => `{"at":${deep},"values":{"temperature":1}}`],
    ['a number of a boot', (deep: string) => `{"boot":${deep},"seq":0,"values":{"temperature":1}}`],
  ])('%s nested 60,000 deep harms nobody', (_what, payload) => {
    for (const device of ['d1', 'd99']) {
      const { draft, take } = bench();
      take(Buffer.from(payload(`${'['.repeat(60_000)}${']'.repeat(60_000)}`)), { device });
      expect(draft.quarantined.length + draft.readings.length).toBeGreaterThan(0);
      for (const { bytes } of draft.quarantined) expect(bytes.length).toBeLessThan(400_000);
    }
  });

  test.each([
    ['a number beyond all bounds', '{"values":{"temperature": 1e999 }}', '1e999'],
    ['more digits than a number has', '{"values":{"temperature":99.50000}}', '99.50000'],
    ['a reading', '[{ "at": "no time", "values": {"temperature":1} }]', undefined],
    ['a payload', ' {"boot":"b", "boot":1,"values":{}} ', undefined],
  ])('keeps %s as it came', (_what, payload, unit) => {
    const { draft, take } = bench();
    take(Buffer.from(payload));
    const kept = draft.quarantined.map(({ bytes }) => Buffer.from(bytes, 'base64').toString());
    expect(kept).toEqual([unit ?? payload.replace(/^\[|\]$/g, '')]);
  });

  test('keeps a reading that is refused for its device as it came, also after a byte order mark', () => {
    const { draft, take } = bench();
    const sent = JSON.stringify(reading({ note: 'kept' }), null, 1);
    take(Buffer.from(`\uFEFF[${sent}]`), { device: 'd99' });
    expect(Buffer.from(draft.quarantined[0]?.bytes ?? '', 'base64').toString()).toBe(sent);
  });

  test('a number is counted as quarantined only with the whole reading, and is taken when it comes again in order', () => {
    const { draft, take, account } = bench();
    take(reading({ values: { temperature: 99, heating: 3 } }));
    expect(draft.quarantined.map(({ seq }) => seq)).toEqual([0, null]);
    expect(account()).toMatchObject([{ quarantined: [[0, 0]] }]);
    take(reading());
    expect(draft.readings).toHaveLength(1);
    expect(draft.duplicates).toBe(0);
  });
});

describe('a repeat', () => {
  test('is removed and counted, and its bad values are not quarantined again', () => {
    const { draft, take, account } = bench();
    const payload = reading({ values: { temperature: 20, co2: 1, humidity: 'x'.repeat(300) } });
    take(payload);
    const before = draft.quarantined.length;
    take(payload, { stream: 'backfill' });
    expect(before).toBe(2);
    expect(draft.quarantined).toHaveLength(before);
    expect(draft.readings).toHaveLength(1);
    expect(account().map(({ duplicates }) => duplicates)).toEqual([1]);
  });

  test('with another time is a reused number', () => {
    const { draft, take, account } = bench();
    take(reading());
    take(reading({ at: nowMs - 500 }));
    expect(draft.quarantined).toMatchObject([{ reason: 'sequence-reused', seq: 0 }]);
    expect(account().map(({ unreadable }) => unreadable)).toContain(1);
  });
});

describe('records that are no readings', () => {
  test('a tick moves time and nothing else', () => {
    const { draft, take } = bench();
    take({ atMs: 5 }, { schema: tickSchema, building: 'tick' });
    expect(draft.tickMs).toBe(nowMs);
    expect([draft.readings, draft.quarantined, draft.accountRecords()]).toEqual([[], [], []]);
  });

  test('a report becomes lines of the account', () => {
    const { take, account } = bench();
    const devices = [
      {
        device: 'd1',
        boot: 'b2',
        next: 9,
        dropped: [
          {
            from: 3,
            to: 4,
            reason: 'full',
          },
        ],
        previous: {
          boot: 'b1',
          next: 20,
        },
      },
    ];
    take({ at: nowMs - 5, devices }, { schema: accountReportSchema, device: 'gateway' });
    expect(account()).toMatchObject([
      { device: 'd1', boot: 'b2', reported: { next: 9, dropped: [[3, 4]], closed: false } },
      { device: 'd1', boot: 'b1', reported: { next: 20, dropped: [], closed: true } },
    ]);
  });
});

test('the account names a bounded number of undeclared devices and counts the rest as the gateway’s', () => {
  const { draft, take, account } = bench();
  const count = strangersPerBuildingMax + 5;
  for (let index = 0; index < count; index += 1) take(reading(), { device: `x${index}` });
  expect(draft.strangers).toHaveLength(strangersPerBuildingMax);
  expect(account()).toHaveLength(strangersPerBuildingMax + 1);
  expect(account().at(-1)).toMatchObject({ device: 'gateway', boot: null, unreadable: 5 });
});
