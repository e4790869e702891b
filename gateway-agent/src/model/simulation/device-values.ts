import type { DeviceType, MetricType } from '@domicile/core/device-types.ts';
import type { MetricValue } from '../value-rule.ts';
import { between, chance } from './chance.ts';
import type { RoomState } from './room.ts';

/** What a metric was set to, and how it got there. */
export interface SetPoint {
  readonly value: MetricValue;
  /** A number's before, so that a room follows in time. */
  readonly before?: number | undefined;
  readonly sinceMs: number;
}

export type SetPoints = Readonly<Record<string, SetPoint>>;

export interface SimulatedDevice {
  readonly seed: number;
  readonly id: string;
  readonly type: DeviceType;
}

/** A room follows its thermostat within an hour or two. */
const heatingMs = 2_400_000;
const dayMs = 86_400_000;

/** What a device without a fault measures. */
export function valuesAt(
  device: SimulatedDevice,
  state: RoomState,
  { atMs, setPoints }: { readonly atMs: number; readonly setPoints: SetPoints },
): Record<string, MetricValue> {
  const context = { ...device, state, atMs, setPoints: withDefaults(device.type, setPoints) };
  return Object.fromEntries(
    Object.entries(device.type.metrics).map(([metric, type]) => [
      metric,
      valueAt(context, metric, type),
    ]),
  );
}

interface Context extends SimulatedDevice {
  readonly state: RoomState;
  readonly atMs: number;
  readonly setPoints: SetPoints;
}

function valueAt(context: Context, metric: string, type: MetricType): MetricValue {
  const set = context.setPoints[metric];
  if (type.settable && set) return set.value;
  const known = Object.hasOwn(measures, metric) ? measures[metric] : undefined;
  const measured = (known ?? unknownMeasure(type))(context);
  if (type.kind === 'text') return String(measured);
  if (type.kind === 'boolean')
    return typeof measured === 'boolean' ? measured : Number(measured) > 0.5;
  const number = Number(measured);
  return rounded(Math.min(type.max, Math.max(type.min, number)), type);
}

function rounded(value: number, { unit }: MetricType): number {
  const whole = new Set(['[ppm]', 'lx', 'W', 'Pa']).has(unit);
  return Number(value.toFixed(whole ? 0 : 2));
}

/** A little noise of a sensor, from -1 to 1. */
function noise({ seed, id, atMs }: Context, what: string): number {
  return 2 * chance(seed, id, what, atMs) - 1;
}

type Measure = (context: Context) => number | boolean | string;

const measures: Readonly<Record<string, Measure>> = {
  temperature: (of) => heated(of) + 0.05 * noise(of, 't'),
  return_temperature: (of) => heated(of) + 0.3 + 0.05 * noise(of, 't'),
  supply_temperature: (of) => 19 + (of.state.isOccupied ? 1.5 : 0) + 0.1 * noise(of, 't'),
  humidity: (of) => of.state.humidity + 0.2 * noise(of, 'h'),
  co2: (of) => of.state.co2 + 8 * noise(of, 'c'),
  illuminance: (of) => of.state.illuminance * (1 + 0.02 * noise(of, 'l')),
  occupied: (of) => of.state.isOccupied,
  open: (of) => of.state.hasChanged,
  heating: (of) => isHeating(of),
  level: (of) => (of.state.isOccupied ? 48 : 31) + 3 * noise(of, 'n'),
  power: (of) => meanOf(of, 'power', 120, 900) * flowOf(of.state.dayShare),
  energy: (of) => (meanOf(of, 'power', 120, 900) / 1000) * 24 * turnedBy(of),
  voltage: (of) => 230 + 3 * noise(of, 'v'),
  flow: (of) => meanOf(of, 'flow', 0.02, 0.2) * flowOf(of.state.dayShare),
  volume: (of) => meanOf(of, 'flow', 0.02, 0.2) * 24 * turnedBy(of),
  pressure: (of) => 120 + 5 * noise(of, 'p'),
};

function meanOf({ seed, id }: Context, what: string, low: number, high: number): number {
  return between(low, high, chance(seed, id, what));
}

/** More by day than by night; 1 on average. */
function flowOf(dayShare: number): number {
  return 1 - 0.8 * Math.cos(2 * Math.PI * dayShare);
}

/** Days that a meter has counted, in the same rhythm: what it counts is the sum of what flows. */
function turnedBy({ atMs, state: { dayShare } }: Context): number {
  const days = Math.round(atMs / dayMs - dayShare) - 18_000;
  return days + dayShare - (0.8 / (2 * Math.PI)) * Math.sin(2 * Math.PI * dayShare);
}

/** The room's own temperature, moved by the thermostat's set point. */
function heated({ state, setPoints, atMs }: Context): number {
  const set = setPoints['target_temperature'];
  if (!set || typeof set.value !== 'number') return state.temperature;
  const { value, before = 21, sinceMs } = set;
  const share = 1 - Math.exp(-Math.max(0, atMs - sinceMs) / heatingMs);
  const target = before + (value - before) * share;
  return state.temperature + (target - 21);
}

function isHeating(of: Context): boolean {
  const { mode, target_temperature: target } = of.setPoints;
  const wanted = typeof target?.value === 'number' ? target.value : 21;
  return mode?.value !== 'off' && heated(of) < wanted;
}

/** A metric that nobody knows goes up and down by day within its bounds. */
function unknownMeasure({ kind, min, max }: MetricType): Measure {
  if (kind === 'text') return () => 'ok';
  if (kind === 'boolean') return (of) => of.state.isOccupied;
  const low = Math.max(min, -1e6);
  const high = Math.min(max, 1e6);
  const isBounded = high - low < 1e6;
  return (of) => {
    const share = 0.5 - 0.3 * Math.cos(2 * Math.PI * of.state.dayShare) + 0.02 * noise(of, 'x');
    return isBounded ? between(low, high, share) : Math.max(low, 0) + 100 * share;
  };
}

function withDefaults(type: DeviceType, setPoints: SetPoints): SetPoints {
  const all = Object.entries(type.metrics).filter(([, { settable }]) => settable);
  const defaults = all.map(([metric, of]) => [
    metric,
    { value: defaultOf(metric, of), sinceMs: 0 },
  ]);
  return { ...Object.fromEntries(defaults), ...setPoints };
}

/** What a settable metric is as long as nobody has set it. */
export function defaultOf(metric: string, { kind, min, max }: MetricType): MetricValue {
  if (metric === 'target_temperature') return 21;
  if (kind === 'text') return metric === 'mode' ? 'auto' : 'ok';
  if (kind === 'boolean') return false;
  return max - min < 1e6 ? Number(((min + max) / 2).toFixed(2)) : Math.max(min, 0);
}
