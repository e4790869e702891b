import * as serving from '@domicile/core/answers/serving.ts';
import { expect, test } from 'vitest';
import type { z } from 'zod';
import * as answers from './answers.ts';

// The page reads less than the cells answer, and more leniently. Here the two are held together.

const time = '2026-11-24T07:00:00Z';
const building: serving.BuildingRow = {
  id: 'de-7f3k',
  country: 'DE',
  client: 'acme',
  timeZone: 'Europe/Berlin',
};
const totals: serving.AccountTotals = {
  expected: 5,
  received: 3,
  duplicates: 0,
  quarantined: 1,
  missing: 1,
  unnumbered: 0,
  unreadable: 0,
  landed: 2,
  expired: 0,
};

const pairs: Record<string, readonly [cell: z.ZodObject, page: z.ZodObject, row: object]> = {
  'a building': [serving.buildingRow, answers.buildingSchema, building],
  'the plan of a building': [
    serving.buildingPlan,
    answers.buildingPlanSchema,
    { ...building, name: 'Harbour office', floors: [{ id: '1', rooms: [] }] },
  ],
  'a window': [
    serving.summaryRow,
    answers.summaryRowSchema,
    {
      windowStart: time,
      windowEnd: time,
      level: 'room',
      id: 'r101',
      metric: 'co2',
      unit: '[ppm]',
      count: 1,
      sum: 9,
      avg: 9,
      min: 9,
      max: 9,
      stddev: 0,
      p50: 9,
      p95: 9,
      revision: 0,
      final: false,
    },
  ],
  'a newest value': [
    serving.latestRow,
    answers.latestRowSchema,
    {
      device: 'a',
      room: 'r101',
      metric: 'co2',
      value: 9,
      unit: '[ppm]',
      measuredAt: time,
      receivedAt: time,
    },
  ],
  'a device': [
    serving.deviceRow,
    answers.deviceRowSchema,
    {
      device: 'a',
      room: 'r101',
      type: 'air-quality',
      state: 'never-seen',
      lastAt: null,
      everyMs: 10_000,
      reported: null,
    },
  ],
  'a numbering': [
    serving.accountRow,
    answers.accountRowSchema,
    {
      device: 'a',
      boot: 'b',
      first: 0,
      last: 4,
      received: 3,
      duplicates: 0,
      missing: [[2, 2]],
      complete: true,
    },
  ],
  'an account': [serving.accountAnswer.shape.totals, answers.accountTotalsSchema, totals],
};

test.each(Object.entries(pairs))('the page reads %s as the cells answer it', (_, pair) => {
  const [cell, page, row] = pair;
  expect(cell.parse(row)).toEqual(row);
  expect(row).toMatchObject(page.parse(row));
  expect(Object.keys(cell.shape)).toEqual(expect.arrayContaining(Object.keys(page.shape)));
});
