import {
  type DeviceType,
  builtInDeviceTypes,
  deviceTypeSchema,
} from '@domicile/core/device-types.ts';
import { expect, test } from 'vitest';
import { valuesAt } from './device-values.ts';
import {
  SpokenTicks,
  burstTicks,
  clockSkewMs,
  faultSettings,
  stuckSince,
  withSpike,
} from './faults.ts';
import { type SimulatedRoom, roomAt } from './room.ts';
import { set } from './set.ts';

const tickMs = 10_000;
const minute = 60_000;
const monday = Date.parse('2026-11-23T00:00:00Z');

function room(id: string, seed = 1): SimulatedRoom {
  return { seed, id, offsetMsAt: () => 3_600_000 };
}

function typeOf(name: string) {
  const type = builtInDeviceTypes[name];
  if (!type) throw new Error(`no type ${name}`);
  return type;
}

const device = (id: string, type = 'air-quality', seed = 1) => ({ seed, id, type: typeOf(type) });

/** Every minute of a week, of 40 rooms. */
const minutesOfWeek = Array.from({ length: 7 * 24 * 60 }, (_, index) => monday + index * minute);
const rooms = Array.from({ length: 40 }, (_, index) => room(`r${index}`));

test('occupancy has the shape of the recorded office', () => {
  const shareAt = (hour: number, days: readonly number[]) => {
    const states = rooms.flatMap((one) =>
      days.map((day) => roomAt(one, monday + ((day * 24 + hour) * 60 - 60) * minute, tickMs)),
    );
    return states.filter(({ isOccupied }) => isOccupied).length / states.length;
  };
  const week = [0, 1, 2, 3, 4];
  expect(shareAt(3, week)).toBe(0);
  expect(shareAt(11.9, week)).toBeGreaterThan(0.7);
  expect(shareAt(13.3, week)).toBeLessThan(0.5);
  expect(shareAt(15, week)).toBeGreaterThan(0.75);
  expect(shareAt(19, week)).toBe(0);
  expect(shareAt(11.9, [5, 6])).toBeLessThan(0.15);
});

test('air, light and warmth follow the people and the day, within what was recorded', () => {
  const one = rooms[0] ?? room('r0');
  const states = minutesOfWeek.map((atMs) => roomAt(one, atMs, tickMs));
  const mean = (of: typeof states, value: (state: (typeof states)[number]) => number) =>
    of.reduce((sum, state) => sum + value(state), 0) / of.length;
  const used = states.filter(({ isOccupied }) => isOccupied);
  const empty = states.filter(({ isOccupied }) => !isOccupied);
  expect(mean(used, ({ co2 }) => co2)).toBeGreaterThan(mean(empty, ({ co2 }) => co2) + 100);
  expect(mean(used, ({ illuminance }) => illuminance)).toBeGreaterThan(400);
  for (const { co2, temperature, humidity, illuminance } of states) {
    expect(co2).toBeGreaterThan(400);
    expect(co2).toBeLessThan(2100);
    expect(temperature).toBeGreaterThan(18);
    expect(temperature).toBeLessThan(26);
    expect(humidity).toBeGreaterThan(15);
    expect(humidity).toBeLessThan(60);
    expect(illuminance).toBeLessThan(1000);
  }
  const steps = states
    .slice(1)
    .map(({ co2 }, index) => Math.abs(co2 - (states[index]?.co2 ?? co2)));
  expect(Math.max(...steps)).toBeLessThan(20);
});

test('the same seed gives the same building, another seed another one', () => {
  const at = (seed: number) =>
    minutesOfWeek
      .filter((_, index) => index % 97 === 0)
      .map((atMs) => roomAt(room('r1', seed), atMs, tickMs));
  expect(at(1)).toEqual(at(1));
  expect(at(1)).not.toEqual(at(2));
});

test('every built-in type says all its metrics within their ranges, and meters never run back', () => {
  const custom = deviceTypeSchema.parse({
    metrics: {
      ph: { min: 0, max: 14 },
      state: { kind: 'text' },
      count: {},
      on: { kind: 'boolean' },
    },
  });
  const all = [...Object.entries(builtInDeviceTypes), ['custom', custom] as const];
  for (const [name, type] of all) {
    const said = minutesOfWeek
      .filter((_, index) => index % 7 === 0)
      .map((atMs) => {
        const state = roomAt(room('r1'), atMs, tickMs);
        return valuesAt({ seed: 1, id: name, type }, state, { atMs, setPoints: {} });
      });
    for (const values of said) {
      expect(Object.keys(values)).toEqual(Object.keys(type.metrics));
      expect(faultsIn(values, type)).toEqual([]);
    }
    const totals = said.map(({ energy, volume }) => Number(energy ?? volume ?? 0));
    expect(totals).toEqual(totals.toSorted((left, right) => left - right));
  }
});

function faultsIn(values: Readonly<Record<string, unknown>>, type: DeviceType): string[] {
  return Object.entries(type.metrics).flatMap(([metric, { kind, min, max }]) => {
    const value = values[metric];
    if (typeof value !== (kind === 'text' ? 'string' : kind)) return [`${metric} is no ${kind}`];
    const isOut = typeof value === 'number' && (value < min || value > max);
    return isOut ? [`${metric} is out of range: ${value}`] : [];
  });
}

const rough = faultSettings.parse({ stuck: 1, silent: 0.5, spikes: 0.1, skewed: 0.5, bursts: 0.5 });

test('numbers of spoken ticks follow each other, and each finds its tick', () => {
  const ticks = new SpokenTicks(device('a'), rough, tickMs);
  const first = monday / tickMs + 123;
  const all = Array.from({ length: 4 * 8640 }, (_, index) => first + index);
  const spoken = all.filter((tick) => ticks.isSpoken(tick));
  expect(spoken.length).toBeLessThan(all.length);
  expect(ticks.count(first, first + all.length)).toBe(spoken.length);
  const samples = [...spoken.entries()].filter(([n]) => n % 501 === 0);
  for (const [n, tick] of samples) {
    expect(ticks.count(first, tick)).toBe(n);
    expect(ticks.tickOf(first, n)).toBe(tick);
  }
});

test('faults come as often as asked, and none without', () => {
  const none = faultSettings.parse({ stuck: 0, silent: 0, spikes: 0, skewed: 0, bursts: 0 });
  const ids = Array.from({ length: 400 }, (_, index) => device(`d${index}`));
  const share = (has: (of: (typeof ids)[number]) => boolean) => ids.filter(has).length / ids.length;
  const noon = monday + 12 * 60 * minute;
  expect(share((of) => clockSkewMs(of, rough) !== 0)).toBeCloseTo(0.5, 1);
  expect(share((of) => burstTicks(of, rough, tickMs) > 1)).toBeCloseTo(0.5, 1);
  expect(share((of) => stuckSince(of, rough, noon) !== undefined)).toBeGreaterThan(0.1);
  const values = { temperature: 21 };
  const spiked = (faults: typeof rough) => (of: (typeof ids)[number]) =>
    withSpike(of, faults, { tick: 7, values }) !== values;
  expect(share(spiked(rough))).toBeGreaterThan(0.05);
  for (const of of ids) {
    expect(clockSkewMs(of, none)).toBe(0);
    expect(burstTicks(of, none, tickMs)).toBe(1);
    expect(stuckSince(of, none, noon)).toBeUndefined();
    expect(spiked(none)(of)).toBe(false);
    const out = withSpike(of, { ...rough, spikes: 1 }, { tick: 1, values });
    const [metric = '', value = 0] = Object.entries(out).find(([, one]) => one !== 21) ?? [];
    expect(Number(value)).toBeGreaterThan(of.type.metrics[metric]?.max ?? Infinity);
  }
});

test('a set point is taken, shown, and followed in time; what cannot be set is said', () => {
  const type = typeOf('thermostat');
  const atMs = monday + 3 * 60 * minute;
  const first = set(type, {}, { wanted: { target_temperature: 25 }, atMs });
  if (!('setPoints' in first)) throw new Error(first.fault);
  const { setPoints } = first;
  const at = (laterMs: number) => {
    const state = roomAt(room('r1'), atMs, tickMs);
    return valuesAt({ seed: 1, id: 't', type }, state, { atMs: atMs + laterMs, setPoints });
  };
  expect(at(0)).toMatchObject({ target_temperature: 25, heating: true, mode: 'auto' });
  const [now, later] = [at(0)['temperature'], at(4 * 60 * minute)['temperature']];
  expect(Number(later)).toBeGreaterThan(Number(now) + 3);
  const refused = (wanted: Record<string, number | string>) => set(type, {}, { wanted, atMs });
  expect(refused({})).toHaveProperty('fault');
  expect(refused({ temperature: 20 })).toEqual({ fault: 'temperature cannot be set' });
  expect(refused({ target_temperature: 90 })).toEqual({
    fault: 'target_temperature must lie between 5 and 35',
  });
  expect(refused({ mode: 7 })).toEqual({ fault: 'mode must be a text' });
});
