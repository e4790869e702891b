import { expect, test } from 'vitest';
import { bytesText, durationText } from './amount-text.ts';
import { isSilent, nextPeriodMs, type StatusReport } from './status-report.ts';
import { statusSummary } from './status-text.ts';

const report: StatusReport = {
  version: '1.2.3',
  building: 'de-7f3k',
  gateway: 'gw-1',
  at: '2026-11-27T12:00:00.000Z',
  startedAt: '2026-11-24T11:00:00.000Z',
  link: { connected: true, since: '2026-11-27T11:57:00.000Z', url: 'mqtts://cell:8883' },
  lanes: [{ lane: 'live', readings: 123_456, perSecond: 9.8 }],
  store: { boot: 'b', next: 5, bytes: 1.2e9, bytesMax: 4e9, unsent: [], unsentRecords: 0 },
  devices: [
    { device: 'a', state: 'seen', lastAt: '2026-11-27T11:59:50.000Z', readings: 7 },
    { device: 'b', state: 'silent', lastAt: '2026-11-27T11:00:00.000Z', readings: 1 },
    { device: 'c', state: 'unheard', readings: 0 },
  ],
  dropped: [],
  drivers: [{ name: 'mqtt', port: 1883 }, { name: 'replay' }],
  errors: [{ at: '2026-11-27T11:57:00.000Z', what: 'Link lost', count: 3 }],
};

function line(changed: Partial<StatusReport>, label: string) {
  const { text, tone } =
    statusSummary({ ...report, ...changed }).lines.find((one) => one.label === label) ?? {};
  return [text, tone];
}

test('a healthy gateway in words', () => {
  const { title, program, devices, errors } = statusSummary(report);
  expect([title, program]).toEqual([
    'Gateway gw-1 of de-7f3k',
    'domicile-gateway 1.2.3, up 3 d 1 h',
  ]);
  expect(line({}, 'Link')).toEqual(['connected for 3 min to mqtts://cell:8883', 'good']);
  expect(line({}, 'Live lane')).toEqual(['9.8 readings/s, 123,456 since the start', 'plain']);
  expect(line({}, 'Waiting')).toEqual(['nothing', 'good']);
  expect(line({}, 'Devices')).toEqual(['1 seen, 1 silent, 1 not heard since the start', 'warn']);
  expect(line({}, 'Drivers')).toEqual(['mqtt on port 1883, replay', 'plain']);
  expect(devices.map(({ label }) => label)).toEqual(['b', 'c', 'a']);
  expect(errors).toMatchObject([{ label: '3 min ago', text: 'Link lost (3 times)' }]);
});

test('what is wrong stands out', () => {
  const link = { ...report.link, connected: false, reason: 'no route' };
  expect(line({ link }, 'Link')).toEqual(['down for 3 min, mqtts://cell:8883: no route', 'bad']);
  const store = {
    ...report.store,
    bytes: 3.9e9,
    unsentRecords: 1200,
    oldestUnsentAt: '2026-11-27T10:00:00.000Z',
    daysLeft: 0.5,
  };
  expect(line({ store }, 'Store')[1]).toBe('warn');
  expect(line({ store }, 'Store')[0]).toContain('room for 12 h without the cell');
  expect(line({ store }, 'Waiting')).toEqual(['1,200 readings, the oldest for 2 h', 'plain']);
  const certificate = {
    until: '2026-11-27T11:00:00.000Z',
    daysLeft: -0.04,
    state: 'ended' as const,
    issuer: 'x',
  };
  expect(line({ certificate }, 'Certificate')).toEqual([
    'has ended, 1 h ago (2026-11-27 11:00 UTC)',
    'bad',
  ]);
  const dropped = [{ device: 'a', boot: 'b', from: 3, to: 5, reason: 'store-full' as const }];
  expect(line({ dropped }, 'Dropped')).toEqual(['3 readings: store-full', 'warn']);
});

test('amounts are said as people say them', () => {
  expect([0, 999, 1000, 1.25e9, 99.6e9].map(bytesText)).toEqual([
    '0 B',
    '999 B',
    '1.0 kB',
    '1.3 GB',
    '100 GB',
  ]);
  expect([400, 61_000, 3_600_000, 11_520_000, 90_000_000, 9e9].map(durationText)).toEqual([
    '0 s',
    '1 min 1 s',
    '1 h',
    '3 h 12 min',
    '1 d 1 h',
    '104 d',
  ]);
});

test('a device is silent after five of its usual periods, and never before a minute', () => {
  expect(isSilent({ lastMs: 0, everyMs: 10_000 }, 60_000)).toBe(false);
  expect(isSilent({ lastMs: 0, everyMs: 10_000 }, 60_001)).toBe(true);
  expect(isSilent({ lastMs: 0, everyMs: 600_000 }, 2_999_000)).toBe(false);
  expect(isSilent({ lastMs: 0, everyMs: undefined }, 61_000)).toBe(true);
  expect(nextPeriodMs(undefined, 10_000)).toBe(10_000);
  expect(nextPeriodMs(10_000, 90_000)).toBe(20_000);
});
