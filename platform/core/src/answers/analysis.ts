import { z } from 'zod';
import { levels } from '../summary.ts';
import { listOf, unit } from './fields.ts';

/** What the raw API answers of the ready-made analyses. */

export const dayTypes = ['workday', 'weekend'] as const;
export type DayType = (typeof dayTypes)[number];

export const correlationRow = z
  .object({
    building: z.string(),
    level: z.enum(levels),
    id: z.string(),
    x: z.string(),
    y: z.string(),
    windows: z.number().int().describe('Windows in which both metrics were measured'),
    correlation: z
      .number()
      .nullable()
      .describe('Pearson, of the windows’ averages; null if undefined'),
    slope: z.number().nullable().describe('Of the least-squares line of y over x'),
    intercept: z.number().nullable(),
  })
  .describe('How far two metrics of one thing go together');

const figures = {
  count: z.number().describe('Values'),
  avg: z.number(),
  min: z.number(),
  max: z.number(),
  stddev: z.number().describe('Of the population'),
  p50: z.number().describe('Within 1 %'),
  p95: z.number().describe('Within 1 %'),
};

export const loadProfileRow = z
  .object({
    building: z.string(),
    level: z.enum(levels),
    id: z.string(),
    metric: z.string(),
    unit,
    dayType: z.enum(dayTypes).describe('By the weekend of the country; holidays are workdays'),
    hour: z.number().int().describe('0 to 23, of the building’s clock'),
    ...figures,
  })
  .describe('One hour of the typical day of one metric');

export const comparisonRow = z
  .object({
    metric: z.string(),
    rank: z.number().int().describe('1 is the highest average of the metric'),
    building: z.string(),
    name: z.string().nullable(),
    unit,
    ...figures,
    deviation: z.number().describe('Of the average from the mean of the buildings’ averages'),
  })
  .describe('One building beside the others');

export const analysisAnswer = listOf(
  z.union([correlationRow, loadProfileRow, comparisonRow]),
).describe('The rows of an analysis; their columns are described with it');

export const analysisRow = z
  .object({
    name: z.string(),
    description: z.string(),
    parameters: z.array(
      z.object({
        name: z.string(),
        required: z.boolean(),
        description: z.string(),
        default: z.string().optional(),
        values: z.array(z.string()).optional(),
      }),
    ),
    columns: z.array(z.string()),
  })
  .describe('A ready-made analysis and its parameters');

export const analysisList = listOf(analysisRow);

export type CorrelationRow = z.output<typeof correlationRow>;
export type LoadProfileRow = z.output<typeof loadProfileRow>;
export type ComparisonRow = z.output<typeof comparisonRow>;
