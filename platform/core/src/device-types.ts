import { z } from 'zod';
import type { Unit } from './units.ts';
import { isUnit } from './units.ts';

/** What one metric of a device may say. A value outside is quarantined, so sums stay in bounds. */
export interface MetricType {
  readonly kind: 'number' | 'boolean' | 'text';
  readonly unit: Unit;
  readonly min: number;
  readonly max: number;
  /** A command may set it. */
  readonly settable: boolean;
}

export interface DeviceType {
  /** How often a device of this type speaks. */
  readonly everyMs: number;
  readonly metrics: Readonly<Record<string, MetricType>>;
}

/** No range may go beyond: squares and sums stay exact and finite. */
export const metricMagnitudeMax = 1e12;

const durationPattern = /^PT(?:(\d{1,4})H)?(?:(\d{1,4})M)?(?:(\d{1,5})S)?$/;

/** ISO 8601 durations of hours, minutes and seconds, in milliseconds; undefined for anything else. */
export function durationMsOf(text: string): number | undefined {
  const match = durationPattern.exec(text);
  if (!match) return undefined;
  const [, hours = '0', minutes = '0', seconds = '0'] = match;
  const ms = (Number(hours) * 3600 + Number(minutes) * 60 + Number(seconds)) * 1000;
  return ms > 0 ? ms : undefined;
}

const duration = z.string().transform((text, context) => {
  const ms = durationMsOf(text);
  if (ms !== undefined) return ms;
  context.addIssue('expected an ISO 8601 duration such as PT10S');
  return z.NEVER;
});

const bound = z.number().min(-metricMagnitudeMax).max(metricMagnitudeMax);

const metricSchema = z
  .strictObject({
    unit: z.string().refine(isUnit, 'expected a UCUM code of the unit table').default('1'),
    kind: z.enum(['number', 'boolean', 'text']).default('number'),
    min: bound.optional(),
    max: bound.optional(),
    settable: z.boolean().default(false),
  })
  .refine(
    ({ min, max }) => min === undefined || max === undefined || min < max,
    'min must be below max',
  )
  .transform(({ unit, kind, min, max, settable }): MetricType => ({
    kind,
    unit: isUnit(unit) ? unit : '1',
    min: min ?? (kind === 'boolean' ? 0 : -metricMagnitudeMax),
    max: max ?? (kind === 'boolean' ? 1 : metricMagnitudeMax),
    settable,
  }));

/** A device type as values files and the catalogue write it. */
export const deviceTypeSchema = z
  .strictObject({
    every: duration.default(10_000),
    metrics: z
      .record(z.string().regex(/^[a-z][a-z0-9_]{0,62}$/, 'expected a metric name'), metricSchema)
      .refine((metrics) => Object.keys(metrics).length > 0, 'expected at least one metric')
      .refine((metrics) => Object.keys(metrics).length <= 64, 'expected at most 64 metrics'),
  })
  .transform(({ every, metrics }): DeviceType => ({ everyMs: every, metrics }));

/** The device types that every cell knows. Values files add to them and may not redefine them. */
export const builtInDeviceTypes: Readonly<Record<string, DeviceType>> = z
  .record(z.string(), deviceTypeSchema)
  .parse({
    'air-quality': {
      metrics: {
        temperature: { unit: 'Cel', min: -40, max: 85 },
        humidity: { unit: '%', min: 0, max: 100 },
        co2: { unit: '[ppm]', min: 0, max: 10_000 },
      },
    },
    'light-meter': { metrics: { illuminance: { unit: 'lx', min: 0, max: 200_000 } } },
    presence: { metrics: { occupied: { kind: 'boolean' } } },
    contact: { metrics: { open: { kind: 'boolean' } } },
    'energy-meter': {
      metrics: {
        power: { unit: 'W', min: -1e7, max: 1e7 },
        energy: { unit: 'kW.h', min: 0, max: 1e9 },
        voltage: { unit: 'V', min: 0, max: 1000 },
      },
    },
    thermostat: {
      metrics: {
        temperature: { unit: 'Cel', min: -40, max: 85 },
        target_temperature: { unit: 'Cel', min: 5, max: 35, settable: true },
        heating: { kind: 'boolean' },
        mode: { kind: 'text', settable: true },
      },
    },
    'water-meter': {
      metrics: {
        volume: { unit: 'm3', min: 0, max: 1e9 },
        flow: { unit: 'm3/h', min: 0, max: 1e4 },
      },
    },
    'noise-meter': { metrics: { level: { unit: 'dB', min: 0, max: 200 } } },
    'air-handling-unit': {
      metrics: {
        supply_temperature: { unit: 'Cel', min: -40, max: 85 },
        return_temperature: { unit: 'Cel', min: -40, max: 85 },
        pressure: { unit: 'Pa', min: -5000, max: 5000 },
        fan_speed: { unit: '%', min: 0, max: 100, settable: true },
      },
    },
  });
