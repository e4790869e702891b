import { expect, test } from 'vitest';
import { conversion } from './unit-conversion.ts';
import { type ValueRule, faultsOfRule, lineOf, offLine, onLine, valueOf } from './value-rule.ts';

test.each<[unknown, ValueRule, unknown]>([
  [21.4, {}, 21.4],
  ['21.4', {}, 21.4],
  [' 7 ', {}, 7],
  ['eco', {}, 'eco'],
  ['', {}, ''],
  [true, {}, true],
  ['false', {}, false],
  [234, { scale: 0.1 }, 23.4],
  ['68', { from: '[degF]', to: 'Cel' }, 20],
  [2.5, { from: 'kW', to: 'W' }, 2500],
  [1, { scale: 10, offset: 5 }, 15],
  ['ON', { true: ['ON'] }, true],
  ['OFF', { true: ['ON'] }, false],
  [1, { true: [1], false: [0] }, true],
  ['on', { as: 'boolean' }, true],
  [612, { as: 'text' }, '612'],
])('%j by %j is %j', (told, rule, value) => {
  expect(valueOf(told, rule)).toEqual({ value });
});

test.each<[unknown, ValueRule]>([
  ['warm', { as: 'number' }],
  ['warm', { scale: 2 }],
  [Number.NaN, { as: 'number' }],
  ['1e999', { as: 'number' }],
  [null, {}],
  [{}, {}],
  [undefined, { true: ['ON'] }],
  ['half', { true: ['ON'], false: ['OFF'] }],
  ['x'.repeat(300), {}],
  [7, { as: 'boolean' }],
])('%j by %j is no value', (told, rule) => {
  expect(valueOf(told, rule)).toHaveProperty('fault');
});

test('a rule that contradicts itself says how', () => {
  expect(faultsOfRule({ from: 'Cel' })).toEqual(['from and to go together']);
  expect(faultsOfRule({ from: 'Cel', to: 'kW' })).toEqual(['there is no way from Cel to kW']);
  expect(faultsOfRule({ false: [0] })).toEqual(['false needs true beside it']);
  expect(faultsOfRule({ true: [1], scale: 2 })).toEqual(['true and false make no number']);
  expect(faultsOfRule({ as: 'text', scale: 2 })).toHaveLength(1);
  expect(faultsOfRule({ scale: 0.1, from: 'hPa', to: 'Pa' })).toEqual([]);
});

test('a command goes back through the line that a value came by', () => {
  const line = lineOf({ scale: 0.5, from: '[degF]', to: 'Cel' });
  for (const told of [0, 41, 136, 300]) expect(offLine(onLine(told, line), line)).toBe(told);
  expect(conversion('constructor', 'Cel')).toBeUndefined();
});
