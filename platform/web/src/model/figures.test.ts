import { expect, test } from 'vitest';
import {
  byImportance,
  counted,
  figureText,
  metricTitle,
  summaryFigure,
  valueFigure,
} from './figures.ts';

test.each([
  [21.44, 'temperature', 'Cel', '21.4 °C'],
  [612.4, 'co2', '[ppm]', '612 ppm'],
  [37.6, 'humidity', '%', '38 %'],
  [-0.01, 'temperature', 'Cel', '0.0 °C'],
  [1234.5, 'power', 'W', '1,235 W'],
  [12.345, 'energy', 'kW.h', '12.3 kWh'],
  [3, 'people', '1', '3.00'],
  [5, 'strange', 'furlong', '5.00 furlong'],
  [true, 'open', '1', 'open'],
  [0, 'occupied', '1', 'free'],
  [true, 'alarmed', '1', 'yes'],
  ['eco', 'mode', null, 'eco'],
])('%s of %s in %s reads %s', (value, metric, unit, text) => {
  expect(figureText(valueFigure(value, metric, unit)).replace('\u00a0', ' ')).toBe(text);
});

test('the average of what is either or is a share of time', () => {
  expect(figureText(summaryFigure(0.34, 'occupied', '1'))).toBe('34\u00a0%');
  expect(figureText(summaryFigure(null, 'occupied', '1'))).toBe('–');
});

test('metrics have titles, also those that nobody foresaw', () => {
  expect(metricTitle('co2')).toBe('CO₂');
  expect(metricTitle('soil_moisture')).toBe('Soil moisture');
});

test('what matters most stands first, the unforeseen last and by name', () => {
  expect(['open', 'zeta', 'co2', 'alpha', 'temperature'].toSorted(byImportance)).toEqual([
    'temperature',
    'co2',
    'open',
    'alpha',
    'zeta',
  ]);
});

test('one is singular', () => {
  expect([counted(1, 'building'), counted(1200, 'building')]).toEqual([
    '1 building',
    '1,200 buildings',
  ]);
});
