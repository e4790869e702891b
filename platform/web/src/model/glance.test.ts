import { expect, test } from 'vitest';
import type { DeviceRow, LatestRow } from './answers.ts';
import { figureText } from './figures.ts';
import { glanceFigures } from './glance.ts';

function point(device: string, metric: string, value: LatestRow['value']): LatestRow {
  const room = device.slice(0, 4);
  return { device, room, metric, value, unit: '1', measuredAt: '2026-11-24T07:00:00Z' };
}

function deviceOf(id: string, state: DeviceRow['state'] = 'seen'): DeviceRow {
  return { device: id, room: id.slice(0, 4), type: 't', state, everyMs: 10_000 };
}

test('numbers are averaged, states counted by room, the most important first', () => {
  const rows = [
    point('r101-presence', 'occupied', true),
    point('r102-presence', 'occupied', false),
    point('r101-air', 'temperature', 20),
    point('r102-air', 'temperature', 30),
    point('r101-mode', 'mode', 'eco'),
  ];
  const figures = glanceFigures(
    rows,
    rows.map((row) => deviceOf(row.device)),
  );
  expect(figures.map(({ title, figure }) => `${title} ${figureText(figure)}`)).toEqual([
    'Temperature 25.0',
    'Occupancy 1 of 2\u00a0rooms',
  ]);
});

test('what a silent device said last is no figure of now', () => {
  const rows = [point('r101-air', 'temperature', 20), point('r102-air', 'temperature', 90)];
  const figures = glanceFigures(rows, [deviceOf('r101-air'), deviceOf('r102-air', 'silent')]);
  expect(figures.map(({ figure }) => figure.text)).toEqual(['20.0']);
});
