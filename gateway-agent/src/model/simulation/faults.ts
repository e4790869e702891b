import type { DeviceType } from '@domicile/core/device-types.ts';
import { z } from 'zod';
import type { MetricValue } from '../value-rule.ts';
import { between, chance } from './chance.ts';
import type { SimulatedDevice } from './device-values.ts';

const share = z.number().min(0).max(1);

/** How often what goes wrong. All 0: a building without faults. */
export const faultSettings = z.strictObject({
  stuck: share
    .default(0.02)
    .describe('Share of device days with a sensor that stands still for hours.'),
  silent: share.default(0.02).describe('Share of device days with minutes without a word.'),
  spikes: share.default(0.0002).describe('Share of readings with one value out of its range.'),
  skewed: share.default(0.02).describe('Share of devices whose clock is minutes to hours off.'),
  bursts: share.default(0.04).describe('Share of devices that say several readings at once.'),
});

export type Faults = z.output<typeof faultSettings>;

const minuteMs = 60_000;
const dayMs = 86_400_000;

interface Span {
  readonly fromMs: number;
  readonly toMs: number;
}

/** A span within a day (UTC, numbered since 1970) with this probability. */
function spanOf(
  { seed, id }: SimulatedDevice,
  day: number,
  of: { what: string; probability: number; minutes: readonly [number, number] },
): Span | undefined {
  const { what, probability, minutes } = of;
  if (chance(seed, id, day, what) >= probability) return undefined;
  const [least, most] = minutes;
  const lengthMs = Math.round(between(least, most, chance(seed, id, day, what, 'long')) * minuteMs);
  const startMs = Math.round(chance(seed, id, day, what, 'start') * (dayMs - lengthMs));
  return { fromMs: day * dayMs + startMs, toMs: day * dayMs + startMs + lengthMs };
}

function dayOf(atMs: number): number {
  return Math.floor(atMs / dayMs);
}

/** When the sensor stopped moving, if it stands still. */
export function stuckSince(
  device: SimulatedDevice,
  faults: Faults,
  atMs: number,
): number | undefined {
  const of = { what: 'stuck', probability: faults.stuck, minutes: [120, 480] as const };
  const span = spanOf(device, dayOf(atMs), of);
  return span && span.fromMs <= atMs && atMs < span.toMs ? span.fromMs : undefined;
}

/** Which of a device's ticks are said: all but those of its silent spans. */
export class SpokenTicks {
  readonly #device: SimulatedDevice;
  readonly #faults: Faults;
  readonly #everyMs: number;

  constructor(device: SimulatedDevice, faults: Faults, everyMs: number) {
    this.#device = device;
    this.#faults = faults;
    this.#everyMs = everyMs;
  }

  #spanOf(day: number): Span | undefined {
    const of = { what: 'silent', probability: this.#faults.silent, minutes: [10, 60] as const };
    return spanOf(this.#device, day, of);
  }

  isSpoken(tick: number): boolean {
    const atMs = tick * this.#everyMs;
    const span = this.#spanOf(dayOf(atMs));
    return !span || atMs < span.fromMs || atMs >= span.toMs;
  }

  /** How many ticks from `from` on and before `to` are said. */
  count(from: number, to: number): number {
    if (to <= from) return 0;
    let spoken = to - from;
    const lastDay = dayOf((to - 1) * this.#everyMs);
    for (let day = dayOf(from * this.#everyMs); day <= lastDay; day += 1) {
      const span = this.#spanOf(day);
      if (!span) continue;
      const first = Math.max(from, Math.ceil(span.fromMs / this.#everyMs));
      const end = Math.min(to, Math.ceil(span.toMs / this.#everyMs));
      spoken -= Math.max(0, end - first);
    }
    return spoken;
  }

  /** The tick that is the `n`-th said one from `from` on, from 0. */
  tickOf(from: number, n: number): number {
    let tick = from + n;
    for (;;) {
      const missing = n - this.count(from, tick);
      if (missing <= 0 && this.isSpoken(tick)) return tick;
      tick += Math.max(1, missing);
    }
  }
}

/** How far the device's clock is off, as long as it lives. */
export function clockSkewMs({ seed, id }: SimulatedDevice, { skewed }: Faults): number {
  if (chance(seed, id, 'skewed') >= skewed) return 0;
  const minutes = Math.round(between(3, 180, chance(seed, id, 'skew')));
  return (chance(seed, id, 'ahead') < 0.5 ? -minutes : minutes) * minuteMs;
}

/** Older is not said at once any more: the gateway would take it for a wrong clock. */
const burstMsMax = 90_000;

/** A device that saves its radio says so many readings at once; 1 for all others. */
export function burstTicks(
  { seed, id }: SimulatedDevice,
  { bursts }: Faults,
  everyMs: number,
): number {
  if (chance(seed, id, 'bursts') >= bursts) return 1;
  const wanted = Math.round(between(3, 9, chance(seed, id, 'burst')));
  return Math.max(1, Math.min(wanted, Math.floor(burstMsMax / everyMs)));
}

/** Puts one value out of its range, where chance wants it. */
export function withSpike(
  { seed, id, type }: SimulatedDevice,
  { spikes }: Faults,
  { tick, values }: { tick: number; values: Readonly<Record<string, MetricValue>> },
): Readonly<Record<string, MetricValue>> {
  if (chance(seed, id, tick, 'spike') >= spikes) return values;
  const numbers = boundedIn(type);
  const metric = numbers[Math.floor(chance(seed, id, tick, 'which') * numbers.length)];
  const max = metric === undefined ? undefined : type.metrics[metric]?.max;
  if (metric === undefined || max === undefined) return values;
  return { ...values, [metric]: Number((max + Math.abs(max) / 2 + 1).toFixed(2)) };
}

function boundedIn({ metrics }: DeviceType): string[] {
  return Object.entries(metrics)
    .filter(([, { kind, max, settable }]) => kind === 'number' && max < 1e12 && !settable)
    .map(([metric]) => metric);
}
