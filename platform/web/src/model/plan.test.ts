import { expect, test } from 'vitest';
import type { BuildingPlan } from './answers.ts';
import { choiceOf, targetsOf } from './plan.ts';
import { defaultView } from './route.ts';

function room(id: string, metrics: readonly string[]) {
  const device = {
    id: `${id}-a`,
    type: 't',
    metrics: metrics.map((name) => ({ name, unit: '1' })),
  };
  return { id, devices: metrics.length > 0 ? [device] : [] };
}

const plan: BuildingPlan = {
  id: 'de-1',
  country: 'DE',
  client: 'acme',
  timeZone: 'Europe/Berlin',
  floors: [
    { id: '1', rooms: [room('r101', []), room('r102', ['co2', 'temperature'])] },
    { id: '2', rooms: [room('r201', ['open'])] },
  ],
};

test('a level offers what the building has there, with its metrics', () => {
  expect(targetsOf(plan, 'floor')).toEqual([
    { id: '1', label: 'Floor 1', metrics: ['temperature', 'co2'] },
    { id: '2', label: 'Floor 2', metrics: ['open'] },
  ]);
  expect(targetsOf(plan, 'building')[0]?.metrics).toEqual(['temperature', 'co2', 'open']);
  expect(targetsOf(plan, 'device').map(({ id }) => id)).toEqual(['r102-a', 'r201-a']);
});

test('what the address does not say is the first that has something to show', () => {
  const choice = choiceOf(plan, defaultView);
  expect([choice?.target.id, choice?.metric]).toEqual(['r102', 'temperature']);
});

test('what the address says is taken', () => {
  const choice = choiceOf(plan, { ...defaultView, of: 'r102', metric: 'co2' });
  expect([choice?.target.id, choice?.metric]).toEqual(['r102', 'co2']);
});

test('a metric that the chosen room lacks gives way to one that it has', () => {
  const choice = choiceOf(plan, { ...defaultView, of: 'r201', metric: 'co2' });
  expect([choice?.target.id, choice?.metric]).toEqual(['r201', 'open']);
});

test('a building without devices has nothing to choose', () => {
  expect(choiceOf({ ...plan, floors: [] }, defaultView)).toBeUndefined();
});
