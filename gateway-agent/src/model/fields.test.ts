import { expect, test } from 'vitest';
import { fieldsSchema, readingOfFields } from './fields.ts';

const form = (text: string) => [...new URLSearchParams(text)];

test('a form is a reading under its own names', () => {
  const told = form('temperature=21.4&open=true&boot=b1&seq=7&at=1750000000000');
  expect(readingOfFields(told, {})).toEqual({
    reading: {
      boot: 'b1',
      seq: 7,
      at: 1_750_000_000_000,
      values: { temperature: 21.4, open: true },
    },
  });
});

test('fields are renamed, scaled and timed by the mapping; others are ignored', () => {
  const fields = fieldsSchema.parse({
    t: { metric: 'temperature', scale: 0.1 },
    h: 'humidity',
    door: { metric: 'open', true: ['open'], false: ['shut'] },
  });
  const time = { field: 'ts', unit: 's' } as const;
  const told = form('t=214&h=40&door=open&ts=1750000000.5&firmware=1.2.3&__proto__=1');
  expect(readingOfFields(told, { fields, time })).toEqual({
    reading: {
      at: 1_750_000_000_500,
      values: { temperature: 21.4, humidity: 40, open: true },
    },
  });
});

test('every fault is told with its place', () => {
  const fields = fieldsSchema.parse({ t: { metric: 'temperature', as: 'number' }, h: 'humidity' });
  expect(readingOfFields(form('t=warm&h=1&h=2'), { fields })).toEqual({
    faults: [
      { pointer: '/t', detail: 'is no number' },
      { pointer: '/h', detail: 'came twice' },
    ],
  });
  expect(readingOfFields(form('Temp/Inside=1'), {})).toMatchObject({
    faults: [{ pointer: '/Temp~1Inside' }],
  });
  expect(readingOfFields(form('x=1'), { fields })).toMatchObject({ faults: [{ pointer: '' }] });
});

test('a mapping says where it is wrong', () => {
  const read = fieldsSchema.safeParse({ t: 'Temp', u: { metric: 'up', from: 'Cel' } });
  expect(read.error?.issues.map(({ path, message }) => [path.join('/'), message])).toEqual([
    ['t', 'Temp is no metric name'],
    ['u', 'from and to go together'],
  ]);
});
