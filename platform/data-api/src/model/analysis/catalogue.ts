import { comparisonRow, correlationRow, loadProfileRow } from '@domicile/core/answers/analysis.ts';
import { intervals } from '@domicile/core/answers/serving.ts';
import { levels } from '@domicile/core/summary.ts';
import { z } from 'zod';
import { idNames, metricNames, pageShape, periodShape } from '../parameters.ts';

/** The ready-made analyses: what each is asked. */

const metric = z.string().regex(/^[a-z][a-z0-9_]{0,62}$/, 'expected the name of a metric');

const common = { building: idNames, ...periodShape, ...pageShape };

export const correlationShape = {
  ...common,
  x: metric,
  y: metric,
  interval: z.enum(intervals).default('PT15M'),
  level: z.enum(levels).default('room'),
};

export const loadProfileShape = {
  ...common,
  metric: metricNames,
  level: z.enum(levels).default('building'),
  id: idNames.optional(),
};

export const comparisonShape = { ...common, metric: metricNames };

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
