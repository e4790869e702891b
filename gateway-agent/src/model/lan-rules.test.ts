import { parseDeviceId } from '@domicile/core/identities.ts';
import { expect, test } from 'vitest';
import { lanRulesSchema, namesSchema } from './lan-rule-schema.ts';
import { LanRules } from './lan-rules.ts';
import { localTimeMs } from './local-time.ts';

function wordsOf(rules: unknown, topic: string, payload: unknown, names = {}) {
  const text = typeof payload === 'string' ? payload : JSON.stringify(payload);
  const parsed = lanRulesSchema.parse(rules);
  return new LanRules(parsed, namesSchema.parse(names)).read(topic, Buffer.from(text));
}

test('Tasmota: values below a sensor’s name, local time, two devices of one message', () => {
  const rules = [
    {
      filter: 'tele/+/SENSOR',
      device: '{2}-air',
      time: { pointer: '/Time', zone: 'Europe/Berlin' },
      values: { temperature: '/AM2301/Temperature', humidity: '/AM2301/Humidity', co2: '/none' },
    },
    {
      filter: 'tele/+/SENSOR',
      device: '{2}-meter',
      values: { power: { pointer: '/ENERGY/Power', from: 'kW', to: 'W' } },
    },
    { filter: 'tele/+/LWT', device: '{2}-air', status: {} },
  ];
  const payload = {
    Time: '2026-07-01T14:00:00',
    AM2301: { Temperature: 21.4, Humidity: '40' },
    ENERGY: { Power: 0.25 },
  };
  const names = { tasmota_1A2B: 'r101' };
  expect(wordsOf(rules, 'tele/tasmota_1A2B/SENSOR', payload, names)).toEqual([
    {
      rule: 0,
      device: 'r101-air',
      faults: [],
      reading: {
        at: '2026-07-01T12:00:00.000Z',
        values: { temperature: 21.4, humidity: 40 },
      },
    },
    { rule: 1, device: 'r101-meter', faults: [], reading: { values: { power: 250 } } },
  ]);
  expect(wordsOf(rules, 'tele/tasmota_1A2B/LWT', 'Online', names)).toEqual([
    { rule: 2, device: 'r101-air', faults: [], status: 'online' },
  ]);
  expect(wordsOf(rules, 'tele/UNKNOWN_9/LWT', 'Online', names)).toEqual([
    { rule: 2, fault: 'its name is no device id: add it to names' },
  ]);
  expect(wordsOf(rules, 'tele/tasmota_1A2B/STATE', payload, names)).toEqual([]);
});

test('a plain value on its own topic, and words for true and false', () => {
  const rules = [
    { filter: 'sensors/+/temp', device: '{2}-air', values: { temperature: '' } },
    { filter: 'doors/#', device: '{3}', values: { open: { true: ['OPEN'], false: ['SHUT'] } } },
  ];
  expect(wordsOf(rules, 'sensors/r101/temp', '23.4')).toMatchObject([
    { device: 'r101-air', reading: { values: { temperature: 23.4 } } },
  ]);
  expect(wordsOf(rules, 'doors/north/r101-door', 'OPEN')).toMatchObject([
    { device: 'r101-door', reading: { values: { open: true } } },
  ]);
  expect(wordsOf(rules, 'doors/north/r101-door', 'AJAR')).toEqual([
    { rule: 1, device: 'r101-door', faults: ['values.open: is neither true nor false'] },
  ]);
});

test.each([
  [1_750_000_000, 's', '2025-06-15T15:06:40.000Z'],
  [1_750_000_000_000, 'ms', '2025-06-15T15:06:40.000Z'],
  ['2026-07-01T14:00:00+02:00', 'ms', '2026-07-01T12:00:00.000Z'],
  ['2026-07-01T14:00:00', 'ms', undefined],
  [1e300, 's', undefined],
  ['noon', 'ms', undefined],
])('a time of %j in %s is %s', (told, unit, at) => {
  const rule = {
    filter: 'a/+',
    device: '{2}',
    values: { t: '/t' },
    time: { pointer: '/at', unit },
  };
  const [word] = wordsOf([rule], 'a/x', { t: 1, at: told });
  expect(word).toMatchObject({ reading: { values: { t: 1 } } });
  expect(word && 'reading' in word ? word.reading?.at : 'none').toBe(at);
});

test('what cannot be read at all is marked to be kept as it came', () => {
  const rules = [{ filter: 'a/+', device: '{2}', values: { temperature: '/t' } }];
  expect(wordsOf(rules, 'a/x', '{')).toMatchObject([{ unreadable: true }]);
  expect(wordsOf(rules, 'a/x', '[]')).toEqual([{ rule: 0, device: 'x', faults: [] }]);
  expect(wordsOf(rules, 'a/x', { t: { nested: 1 } })).toMatchObject([
    { faults: ['values.temperature: is no text'] },
  ]);
});

test('a command goes to the device’s topic in the device’s own terms', () => {
  const rules = lanRulesSchema.parse([
    {
      filter: 'zigbee2mqtt/+',
      device: '{2}-thermostat',
      values: {
        target_temperature: { pointer: '/setpoint', scale: 0.01 },
        heating: { pointer: '/state', true: ['ON'], false: ['OFF'] },
      },
      commands: {
        target_temperature: { topic: 'zigbee2mqtt/{2}/set', payload: '{"setpoint":{value}}' },
        heating: { topic: 'zigbee2mqtt/{2}/set/state', payload: '{json}', qos: 2, retain: true },
      },
    },
  ]);
  const lan = new LanRules(rules, { '0x00158d': 'r101' });
  const device = parseDeviceId('r101-thermostat');
  expect(lan.command(device, 'target_temperature', 21.5)).toEqual({
    topic: 'zigbee2mqtt/0x00158d/set',
    payload: '{"setpoint":2150}',
    qos: 1,
    retain: false,
  });
  expect(lan.command(device, 'heating', true)).toMatchObject({
    topic: 'zigbee2mqtt/0x00158d/set/state',
    payload: '"ON"',
    qos: 2,
  });
  expect(lan.command(device, 'mode', 'eco')).toBeUndefined();
  expect(lan.command(parseDeviceId('r101-air'), 'heating', true)).toBeUndefined();
  expect(lan.commandTopics(device)).toHaveLength(2);
});

test('every contradiction of a rule is told at its place', () => {
  const read = lanRulesSchema.safeParse([
    { filter: 'tele/+/SENSOR', device: '{2}', values: { temperature: '/t' } },
    { filter: 'tele/a+/#/x', device: '{1}', values: { Temp: '/t' } },
    { filter: 'v1/x', device: 'Not an id', values: { temperature: { pointer: '/t', from: 'K' } } },
    { filter: 'a/+/+', device: '{2}-{3}' },
    {
      filter: 'a/+',
      device: '{2}',
      commands: { mode: { topic: 'b/{1}/+', payload: 'x' } },
    },
  ]);
  expect(read.error?.issues.map(({ path, message }) => `${path.join('.')}: ${message}`)).toEqual([
    '1.filter: + must fill a level, and # must be the last one',
    '1.device: level 1 of tele/a+/#/x is no + or #',
    '1.values.Temp: is no metric name',
    expect.stringMatching(/^2.filter: may not begin with v1/),
    '2.device: makes no device id',
    '2.values.temperature: from and to go together',
    '3.device: may have one place {n}',
    '3: needs values, a status or commands',
    '4.commands.mode: its topic may have the place that device has, and no other',
    '4.commands.mode: its topic may have no + or #',
    '4.commands.mode: its payload needs {value} or {json}',
  ]);
  expect(namesSchema.safeParse({ A: 'r101', B: 'r101' }).error?.issues).toHaveLength(1);
});

test.each([
  ['2026-01-01T12:00:00', 'Europe/Berlin', '2026-01-01T11:00:00Z'],
  ['2026-10-25 02:30:00', 'Europe/Berlin', '2026-10-25T00:30:00Z'],
  ['2026-10-25 03:30:00', 'Europe/Berlin', '2026-10-25T02:30:00Z'],
  ['2026-03-29T02:30:00', 'Europe/Berlin', '2026-03-29T01:30:00Z'],
  ['2026-03-29T03:30:00.25', 'Europe/Berlin', '2026-03-29T01:30:00.25Z'],
  ['2026-07-01T00:00:00', 'America/New_York', '2026-07-01T04:00:00Z'],
])('%s on a wall in %s is %s', (text, zone, time) => {
  expect(localTimeMs(text, zone)).toBe(Date.parse(time));
});
