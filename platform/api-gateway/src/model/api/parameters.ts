import { intervals } from '@domicile/core/answers/serving.ts';
import { levels } from '@domicile/core/summary.ts';
import { z } from 'zod';

export interface Parameter {
  readonly name: string;
  readonly in: 'path' | 'query' | 'header';
  readonly required?: boolean;
  readonly description: string;
  readonly schema: z.ZodType;
  readonly example?: string | number;
}

const id = z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}$/);
const ids = z
  .string()
  .regex(/^[a-z0-9][a-z0-9-]{0,62}(,[a-z0-9][a-z0-9-]{0,62})*$/)
  .describe('One, or several with commas');
const metricNames = z
  .string()
  .regex(/^[a-z][a-z0-9_]{0,62}(,[a-z][a-z0-9_]{0,62})*$/)
  .describe('One, or several with commas');
const fileName = z.string().regex(/^[A-Za-z0-9_=][A-Za-z0-9_=.-]{0,127}$/);
const time = z.iso.datetime({ offset: true });

const path = (name: string, description: string, example: string, schema: z.ZodType = id) =>
  ({ name, in: 'path', required: true, description, schema, example }) as const;
const query = (name: string, description: string, schema: z.ZodType) =>
  ({ name, in: 'query', description, schema }) as const;

export const building = path('building', 'A building of this country', 'de-7f3k');
export const device = path('device', 'A device of the building', 'r101-air');
export const command = path('command', 'As `Location` named it', '01JD9T', z.string().max(64));
export const analysisName = path('name', 'As the list names it', 'load-profile');
export const dataApi = path('api', 'As the list names it', 'summaries', fileName);
export const dataEndpoint = path('endpoint', 'As the list names it', 'PT1H', fileName);
export const dataPath = path('path', 'As the list names it', 'latest.json', z.string().max(500));

export const from: Parameter = {
  ...query('from', 'Begin of the period, included', time),
  required: true,
  example: '2026-11-23T07:00:00Z',
};
export const to: Parameter = {
  ...query('to', 'End of the period, not included', time),
  required: true,
  example: '2026-11-23T08:00:00Z',
};
export const interval: Parameter = {
  ...query(
    'interval',
    'Length of the windows; P1D are days of the building’s zone, the others are of UTC',
    z.enum(intervals).default('PT1M'),
  ),
  example: 'PT15M',
};
export const level: Parameter = {
  ...query('level', 'What is summarised', z.enum(levels)),
  example: 'room',
};
export const metric = query('metric', 'Only these metrics', metricNames);
export const ofId = query('id', 'Only these devices, rooms, floors or buildings', ids);
export const ofDevice = query('device', 'Only these devices', ids);
export const buildings: Parameter = {
  ...query('building', 'One building, or several: named again or with commas', z.string()),
  required: true,
  example: 'de-7f3k',
};
const rowsOf = (max: number) => z.number().int().min(1).max(max).default(1_000);
export const limit = query('limit', 'Rows of a page', rowsOf(50_000));
export const rawLimit = query('limit', 'Rows of a page', rowsOf(200_000));
export const cursor = query('cursor', '`next` of the page before', z.string());
export const lastEventId = {
  name: 'Last-Event-ID',
  in: 'header',
  description: 'Resume after this event',
  schema: z.string(),
} as const;
export const idempotencyKey = {
  name: 'Idempotency-Key',
  in: 'header',
  description: 'The same key is the same command, however often it is sent',
  schema: z.string().min(1).max(128),
} as const;
