import { expect, test } from 'vitest';
import { csvOf } from './csv.ts';

test('rows go out with full figures, the newest revision of each, quoted where it must be', () => {
  const row = {
    windowStart: '2026-11-24T07:00:00Z',
    windowEnd: '2026-11-24T07:01:00Z',
    level: 'room',
    id: 'a,"b"',
    metric: 'co2',
    unit: '[ppm]',
    count: 6,
    avg: 612.123_456_789,
    min: 600,
    max: null,
    revision: 1,
    final: true,
  };
  expect(csvOf([row, { ...row, avg: 613, revision: 2 }])).toBe(
    'windowStart,windowEnd,level,id,metric,unit,count,avg,min,max,p50,p95\r\n' +
      '2026-11-24T07:00:00Z,2026-11-24T07:01:00Z,room,"a,""b""",co2,[ppm],6,613,600,,,\r\n',
  );
});
