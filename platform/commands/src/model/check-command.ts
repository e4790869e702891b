import type { CommandBody } from '@domicile/core/answers/commands.ts';
import { type BuildingRecord, placementAt } from '@domicile/core/building.ts';
import type { SettableValue } from '@domicile/core/command.ts';
import type { MetricType } from '@domicile/core/device-types.ts';
import type { Fault } from '@domicile/core/errors.ts';
import { parseTime, textValueLengthMax } from '@domicile/core/telemetry.ts';

/** A command that names no end is delivered for so long. */
export const expiryDefaultMs = 5 * 60_000;
/** Nobody wants to be surprised by what was asked for days ago. */
export const expiryMsMax = 24 * 3_600_000;

/** Everything that the registry has against a command; undefined if there is no such device. */
export function faultsOf(
  building: BuildingRecord,
  of: { device: string; body: CommandBody; nowMs: number },
): Fault[] | undefined {
  const { body, nowMs } = of;
  const device = building.devices.find(({ id }) => id === of.device);
  const placement = device && placementAt(device, nowMs);
  if (!placement) return undefined;
  const { metrics = {} } = building.deviceTypes[placement.type] ?? {};
  const faults: Fault[] = [];
  for (const [name, value] of Object.entries(body.set)) {
    const detail = faultOf(Object.hasOwn(metrics, name) ? metrics[name] : undefined, value);
    if (detail !== undefined) faults.push({ pointer: `#/body/set/${name}`, detail });
  }
  const expiry = body.expiresAt === undefined ? undefined : expiryFault(body.expiresAt, nowMs);
  if (expiry !== undefined) faults.push({ pointer: '#/body/expiresAt', detail: expiry });
  return faults;
}

function faultOf(metric: MetricType | undefined, value: SettableValue): string | undefined {
  if (!metric) return 'the device has no such metric';
  if (!metric.settable) return 'it cannot be set';
  if (metric.kind === 'boolean')
    return typeof value === 'boolean' ? undefined : 'expected true or false';
  if (metric.kind === 'text')
    return typeof value === 'string' && value.length <= textValueLengthMax
      ? undefined
      : `expected text of at most ${textValueLengthMax} characters`;
  const { min, max, unit } = metric;
  return typeof value === 'number' && value >= min && value <= max
    ? undefined
    : `expected a number from ${min} to ${max} ${unit}`;
}

function expiryFault(text: string, nowMs: number): string | undefined {
  const ms = parseTime(text);
  if (ms === undefined) return 'expected an RFC 3339 time with offset';
  if (ms <= nowMs) return 'must be in the future';
  return ms - nowMs > expiryMsMax
    ? `must be at most ${expiryMsMax / 3_600_000} hours ahead`
    : undefined;
}
