import { levels } from '@domicile/core/summary.ts';
import { z } from 'zod';
import { intervals } from '../api.ts';
import { idNames, metricNames, pageShape, periodShape } from '../parameters.ts';
import { dayTypes } from './local-hour.ts';

/** The ready-made analyses: what each is asked and what it answers. */

const metric = z.string().regex(/^[a-z][a-z0-9_]{0,62}$/, 'expected the name of a metric');

const common = { building: idNames, ...periodShape, ...pageShape };

export const correlationShape = {
  ...common,
  x: metric,
  y: metric,
  interval: z.enum(intervals).default('PT15M'),
  level: z.enum(levels).default('room'),
};

export const correlationRow = z.object({
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
});

export const loadProfileShape = {
  ...common,
  metric: metricNames,
  level: z.enum(levels).default('building'),
  id: idNames.optional(),
};

const figures = {
  count: z.number().describe('Values'),
  avg: z.number(),
  min: z.number(),
  max: z.number(),
  stddev: z.number().describe('Of the population'),
  p50: z.number().describe('Within 1 %'),
  p95: z.number().describe('Within 1 %'),
};

export const loadProfileRow = z.object({
  building: z.string(),
  level: z.enum(levels),
  id: z.string(),
  metric: z.string(),
  unit: z.string(),
  dayType: z.enum(dayTypes).describe('By the weekend of the country; holidays are workdays'),
  hour: z.number().int().describe('0 to 23, of the building’s clock'),
  ...figures,
});

export const comparisonShape = { ...common, metric: metricNames };

export const comparisonRow = z.object({
  metric: z.string(),
  rank: z.number().int().describe('1 is the highest average of the metric'),
  building: z.string(),
  name: z.string().nullable(),
  unit: z.string(),
  ...figures,
  deviation: z.number().describe('Of the average from the mean of the buildings’ averages'),
});

export type CorrelationRow = z.output<typeof correlationRow>;
export type LoadProfileRow = z.output<typeof loadProfileRow>;
export type ComparisonRow = z.output<typeof comparisonRow>;

interface Parameter {
  readonly name: string;
  readonly required: boolean;
  readonly description: string;
  readonly default?: string;
  readonly values?: readonly string[];
}

const commonParameters: readonly Parameter[] = [
  { name: 'building', required: true, description: 'One or more, repeated or with commas' },
  { name: 'from', required: true, description: 'RFC 3339; windows that start at or after it' },
  { name: 'to', required: true, description: 'RFC 3339; windows that start before it' },
  { name: 'limit', required: false, description: 'Rows of one answer', default: '1000' },
  { name: 'cursor', required: false, description: 'The `next` of the answer before' },
];

/** `GET /v1/analysis`. */
export const analysisCatalogue = [
  {
    name: 'metric-correlation',
    description:
      'How far two metrics go together: Pearson’s correlation of their averages over common windows, for each room, floor, device or building',
    parameters: [
      ...commonParameters,
      { name: 'x', required: true, description: 'A metric' },
      { name: 'y', required: true, description: 'Another metric' },
      {
        name: 'interval',
        required: false,
        description: 'The length of the windows; P1D are days of the building’s zone',
        default: 'PT15M',
        values: intervals,
      },
      { name: 'level', required: false, description: 'Of what', default: 'room', values: levels },
    ],
    columns: Object.keys(correlationRow.shape),
  },
  {
    name: 'load-profile',
    description:
      'The typical day: figures of a metric by hour of the building’s clock and kind of day, merged from its quarter hours',
    parameters: [
      ...commonParameters,
      { name: 'metric', required: true, description: 'One or more' },
      {
        name: 'level',
        required: false,
        description: 'Of what',
        default: 'building',
        values: levels,
      },
      { name: 'id', required: false, description: 'Only of these devices, rooms or floors' },
    ],
    columns: Object.keys(loadProfileRow.shape),
  },
  {
    name: 'building-comparison',
    description:
      'Buildings side by side: figures of a metric over the whole period, merged from hours, ranked by average',
    parameters: [
      ...commonParameters,
      { name: 'metric', required: true, description: 'One or more' },
    ],
    columns: Object.keys(comparisonRow.shape),
  },
] as const satisfies readonly {
  name: string;
  description: string;
  parameters: readonly Parameter[];
  columns: readonly string[];
}[];

export const analysisList = z.object({
  rows: z.array(
    z.object({
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
    }),
  ),
  next: z.string().nullable(),
});
