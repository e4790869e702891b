import { headers, type StreamName, streams, topicOf } from '@domicile/core/streams.ts';
import { partitionOf } from '@domicile/kafka/partitioner.ts';
import type { InputRecord } from '@domicile/kafka/records.ts';
import { expect, test } from 'vitest';
import { PlatformPolicy } from './platform-policy.ts';

const partitions = 8;
const policy = new PlatformPolicy('DE', partitions);
const building = 'de-7f3k';
const partition = partitionOf(Buffer.from(building), partitions);

const streamsOf = (filter: string) =>
  policy.placesOf(filter).map(({ key }) => {
    expect(key.endsWith(`/${partition}`)).toBe(true);
    return key.split('/')[0];
  });

test('a filter is looked for where its messages can stand', () => {
  const all = ['telemetry', 'backfill', 'command-states', 'device-status'];
  const below = (rest: string) => streamsOf(`v1/${building}/${rest}`);
  expect(below('#')).toEqual(all);
  expect(below('d1/#')).toEqual(all);
  expect(below('+/telemetry')).toEqual(['telemetry']);
  expect(below('gateway/account')).toEqual(['telemetry']);
  expect(below('+/+')).toEqual(['telemetry', 'backfill', 'device-status']);
  expect(below('+/status/#')).toEqual(['device-status']);
  expect(below('d1/command-states/+')).toEqual(['command-states']);
  expect(below('d1/command-states/#')).toEqual(['command-states']);
  expect(below('d1/+/c1')).toEqual(['command-states']);
  expect(below('+/commands/+')).toEqual([]);
  expect(below('d1')).toEqual([]);
  expect(below('a/b/c/d')).toEqual([]);
  expect(streamsOf('v1/+/d1/telemetry')).toEqual([]);
  expect(streamsOf('#')).toEqual([]);
});

function read(stream: StreamName, value: unknown, more: Readonly<Record<string, string>> = {}) {
  const record: InputRecord = {
    topic: topicOf('DE', stream),
    partition,
    offset: 7n,
    timestampMs: 0,
    key: Buffer.from(building),
    value: Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)),
    headers: new Map(Object.entries({ [headers.schema]: streams[stream].schema, ...more })),
  };
  const message = policy.read(record);
  return message && { ...message, payload: message.payload.toString() };
}

test('records are the messages that clients published', () => {
  const from = { [headers.device]: 'd1', [headers.client]: 'gw' };
  expect(read('telemetry', 'any bytes', from)).toMatchObject({
    topic: `v1/${building}/d1/telemetry`,
    payload: 'any bytes',
    publisher: `${building}/gw`,
    retain: false,
    outbound: { token: `telemetry/${partition}/7`, qos: 1 },
  });
  expect(read('backfill', 'x', from)?.topic).toBe(`v1/${building}/d1/backfill`);
  const account = { ...from, [headers.device]: 'gateway', [headers.schema]: 'account-report/1' };
  expect(read('telemetry', 'x', account)?.topic).toBe(`v1/${building}/gateway/account`);
  const state = { id: 'c1', building, device: 'd1', state: 'applied', at: '2026-01-01T00:00:00Z' };
  expect(read('command-states', state, from)).toMatchObject({
    topic: `v1/${building}/d1/command-states/c1`,
    payload: '{"id":"c1","state":"applied","at":"2026-01-01T00:00:00Z"}',
  });
  const status = { building, device: 'd1', state: 'online', at: 'then', receivedAtMs: 1 };
  expect(read('device-status', status, from)).toMatchObject({
    topic: `v1/${building}/d1/status`,
    payload: '{"state":"online","at":"then"}',
    retain: true,
  });
});

test('ticks, the cell’s own words and what cannot be read are no messages', () => {
  expect(read('telemetry', 'x', { [headers.schema]: 'tick/1' })).toBeUndefined();
  const state = { id: 'c1', building, device: 'd1', state: 'expired', at: 'then' };
  expect(read('command-states', state)).toBeUndefined();
  expect(read('command-states', 'no JSON', { [headers.client]: 'gw' })).toBeUndefined();
  expect(read('device-status', { state: 'perhaps' })).toBeUndefined();
});
