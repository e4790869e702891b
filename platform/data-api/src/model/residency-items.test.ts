import { expect, test } from 'vitest';
import { brokerItems, bucketItem, lakeItem, processItem, topicItem } from './residency-items.ts';

const broker = { host: 'kafka-0', port: 9092, rack: 'europe-west3-a' };
const declared: { hosts: string[]; racks: string[] } = {
  hosts: ['kafka-0'],
  racks: ['europe-west3-a', 'europe-west3-b'],
};

test('a broker is where it is declared, by host and by rack', () => {
  const okOf = (said: { host?: string; rack?: string | null }, expected = declared) =>
    brokerItems([{ ...broker, ...said }], expected)[0]?.ok;
  expect(okOf({})).toBe(true);
  expect(okOf({ host: 'kafka-us' })).toBe(false);
  expect(okOf({ rack: 'us-east1-b' })).toBe(false);
  expect(okOf({ rack: null })).toBe(false);
  expect(okOf({ rack: null, host: 'anywhere' }, { hosts: [], racks: [] })).toBe(true);
  expect(brokerItems([], declared)).toMatchObject([{ ok: false }]);
});

test('a cluster holds the topics of its country alone', () => {
  expect(topicItem('DE', ['de.latest.v1', '__consumer_offsets']).ok).toBe(true);
  expect(topicItem('DE', ['de.latest.v1', 'us.latest.v1']).ok).toBe(false);
  expect(topicItem('DE', []).ok).toBe(false);
});

test('a process says its country, and one alone', () => {
  const okOf = (metrics: string | undefined) =>
    processItem('broker', 'http://127.0.0.1:1', { country: 'DE', metrics }).ok;
  expect(okOf('up{service="broker",country="DE"} 1\n')).toBe(true);
  expect(okOf('up{country="US"} 1\n')).toBe(false);
  expect(okOf('up{country="DE"} 1\ndown{country="US"} 1\n')).toBe(false);
  expect(okOf('up 1\n')).toBe(false);
  expect(okOf(undefined)).toBe(false);
});

test('the lake is really in its folder', () => {
  expect(lakeItem({ realPath: '/lake/de', declared: '/lake/de' }).ok).toBe(true);
  expect(lakeItem({ realPath: '/lake/us', declared: '/lake/de' }).ok).toBe(false);
  expect(lakeItem({ realPath: undefined, declared: '/lake/de' }).ok).toBe(false);
  expect(lakeItem({ realPath: '/lake/de', declared: undefined }).ok).toBe(true);
});

test('a bucket lies in a region of the country, and in the declared one', () => {
  const okOf = (location: string | undefined, region?: string) =>
    bucketItem({ location, declared: region, country: 'DE' }).ok;
  expect(okOf('europe-west3')).toBe(true);
  expect(okOf('europe-west3', 'europe-west3')).toBe(true);
  expect(okOf('europe-west10', 'europe-west3')).toBe(false);
  expect(okOf('europe-west4')).toBe(false);
  expect(okOf('eu')).toBe(false);
  expect(okOf('eur4', 'eur4')).toBe(false);
  expect(okOf('onprem-de-attic')).toBe(true);
  expect(okOf(undefined)).toBe(false);
});
