import { durationMsOf } from '@domicile/core/device-types.ts';
import { isDeviceId } from '@domicile/core/identities.ts';
import { expandRange } from '@domicile/core/values.ts';
import { z } from 'zod';

/** What the settings of several drivers are made of. */
export const ms = z.number().int().min(1);

export const listenHost = z.string().default('127.0.0.1').describe('Address to listen on.');

export const listenPort = z.number().int().min(0).max(65_535).describe('Port; 0 takes a free one.');

/** As `PT10S`, in milliseconds. */
export const duration = z.string().transform((text, context) => {
  const durationMs = durationMsOf(text);
  if (durationMs !== undefined) return durationMs;
  context.addIssue('expected an ISO 8601 duration such as PT10S');
  return z.NEVER;
});

/** A room or a range of rooms as `r1[01-25]`. */
export const rooms = z.string().transform((text, context) => {
  const expanded = expandRange(text);
  if (expanded) return expanded;
  context.addIssue('expected a room or a range of rooms such as r1[01-25]');
  return z.NEVER;
});

export const deviceId = z
  .string()
  .refine(isDeviceId, 'expected a device id: lower-case letters, digits and hyphens');

export const metricName = z
  .string()
  .regex(/^[a-z][a-z0-9_]{0,62}$/, 'expected a metric name: lower-case letters, digits, _');
