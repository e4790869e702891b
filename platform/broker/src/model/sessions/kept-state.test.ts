import { expect, test } from 'vitest';
import {
  endsAtMs,
  type LivingSession,
  willAtMs,
  willMessageOf,
  willRecordOf,
} from './kept-state.ts';

const will = {
  topic: 'a/b',
  payload: Buffer.from([0, 255, 1]),
  qos: 1 as const,
  retain: true,
  dup: false,
  packetId: undefined,
  expirySeconds: 7,
  properties: {
    contentType: 'text/plain',
    correlationData: Buffer.from([1, 2]),
    userProperties: [
      ['a', '1'],
      ['a', '2'],
    ] as const,
  },
};

function living(more: Partial<LivingSession['connect']>, disconnectedAtMs?: number): LivingSession {
  const connect = {
    clientId: 'c',
    building: 'de-a',
    protocolVersion: 5 as const,
    willDelaySeconds: 0,
    expirySeconds: 60,
    ...more,
  };
  const nothing = {
    subscriptions: [],
    inFlight: [],
    received: new Map<number, bigint>(),
    feed: undefined,
  };
  return { connect, disconnectedAtMs, ...nothing };
}

test('a will is the same after it was kept', () => {
  expect(willMessageOf(JSON.parse(JSON.stringify(willRecordOf(will))))).toEqual(will);
});

test('a session ends its time after its connection, and one without an end never', () => {
  expect(endsAtMs(living({}, 1000), 5000)).toBe(61_000);
  expect(endsAtMs(living({}), 5000)).toBe(65_000);
  expect(endsAtMs(living({ expirySeconds: null }), 5000)).toBe(Infinity);
});

test('a will comes after its delay, but not after the end of its session', () => {
  const record = willRecordOf(will);
  expect(willAtMs(living({}), 0)).toBe(Infinity);
  expect(willAtMs(living({ will: record, willDelaySeconds: 10 }), 5000)).toBe(15_000);
  expect(willAtMs(living({ will: record, willDelaySeconds: 99 }, 1000), 5000)).toBe(61_000);
});
