import type { CommandRecord } from '@domicile/core/command.ts';
import { parseBuildingId } from '@domicile/core/identities.ts';
import type { Delivery, OutboundMessage } from '@domicile/mqtt/owner.ts';
import { reason } from '@domicile/mqtt/reason-codes.ts';
import { createLog } from '@domicile/runtime/log.ts';
import { Registry } from 'prom-client';
import { expect, test } from 'vitest';
import type { BrokerSession } from './admission/identity.ts';
import { BuildingDesk } from './building-desk.ts';
import { createBrokerEvents } from './events.ts';

const building = parseBuildingId('de-7f3k');

/** A session that wants everything and answers deliveries as it is told. */
class StubSession {
  readonly key = 'k';
  readonly clientId = 'c';
  readonly identity = { building, gateway: undefined, key: Buffer.from(building) };
  readonly protocolVersion = 5;
  readonly connected = true;
  readonly expirySeconds = 0;
  readonly subscriptions = new Map();
  readonly delivered: OutboundMessage[] = [];
  readonly disconnects: number[] = [];
  outcome: Promise<Delivery> = Promise.resolve('acked');
  wants = () => true;
  deliver = (message: OutboundMessage) => {
    this.delivered.push(message);
    return this.outcome;
  };
  offer = () => false;
  withdraw = () => false;
  readonly inFlight = 0;
  readonly queued = 0;
  state = () => ({ subscriptions: [], receivedIds: [], inFlight: [] });
  abandon = () => undefined;
  disconnect = (code: number) => void this.disconnects.push(code);
}

function openDesk() {
  const registry = new Registry();
  const events = createBrokerEvents(registry, createLog('broker', { write: () => undefined }));
  const desk = new BuildingDesk(events, building);
  const session = new StubSession();
  desk.sessions.add(session satisfies BrokerSession);
  return { desk, session, registry };
}

const record: CommandRecord = {
  id: 'c1',
  building,
  device: 'd1',
  set: { on: true },
  expiresAt: '2026-01-01T00:00:00Z',
  acceptedAtMs: 0,
  by: 'someone',
  idempotencyKey: null,
};
const command = { record, expiresAtMs: Date.parse(record.expiresAt) };

test('a command is not sent twice at once, and again once its sending has ended', async () => {
  const { desk, session } = openDesk();
  const outcome = Promise.withResolvers<Delivery>();
  session.outcome = outcome.promise;
  void desk.sendCommand(session, command);
  void desk.sendCommand(session, command);
  expect(session.delivered).toHaveLength(1);
  outcome.resolve('acked');
  await new Promise(setImmediate);
  void desk.sendCommand(session, command);
  expect(session.delivered.map(({ topic, expiresAtMs }) => [topic, expiresAtMs])).toEqual([
    ['v1/de-7f3k/d1/commands/c1', command.expiresAtMs],
    ['v1/de-7f3k/d1/commands/c1', command.expiresAtMs],
  ]);
});

test('who does not keep up is told so and disconnected: no gap is silent', async () => {
  const { desk, session, registry } = openDesk();
  session.outcome = Promise.resolve('queue-full');
  void desk.sendCommand(session, command);
  await new Promise(setImmediate);
  expect(session.disconnects).toEqual([reason.quotaExceeded]);
  expect(await registry.metrics()).toContain(
    'mqtt_messages_dropped_total{kind="command",reason="queue-full"} 1',
  );
});

test('a topic that was right once is right again, and a wrong one stays wrong', () => {
  const { desk } = openDesk();
  const first = desk.topicOf('v1/de-7f3k/d1/telemetry');
  expect(first).toMatchObject({ kind: 'telemetry', device: 'd1' });
  expect(desk.topicOf('v1/de-7f3k/d1/telemetry')).toBe(first);
  expect(desk.topicOf('v1/de-other/d1/telemetry')).toBe(reason.notAuthorized);
  expect(desk.topicOf('v1/de-other/d1/telemetry')).toBe(reason.notAuthorized);
  expect(desk.topicOf('__proto__')).toBe(reason.notAuthorized);
});

test('what is retained of thousands of devices goes out a few at a time, in turn', async () => {
  const { desk, session } = openDesk();
  const at = '2026-01-01T00:00:00.000Z';
  const devices = Array.from({ length: 3000 }, (_, index) => `d${index}`);
  for (const device of devices) {
    desk.statuses.note({ building, device, state: 'online', at, receivedAtMs: 0 }, 0n);
  }
  let waiting: PromiseWithResolvers<Delivery>[] = [];
  session.deliver = (message) => {
    session.delivered.push(message);
    const delivery = Promise.withResolvers<Delivery>();
    waiting.push(delivery);
    return delivery.promise;
  };
  desk.sendStatuses(session, 'v1/de-7f3k/+/status');
  desk.sendStatuses(session, 'v1/de-7f3k/d7/status');
  let most = 0;
  while (session.delivered.length < 3001) {
    await new Promise(setImmediate);
    most = Math.max(most, waiting.length);
    for (const delivery of waiting) delivery.resolve('acked');
    waiting = [];
  }
  expect(most).toBe(50);
  expect(session.delivered.map(({ topic }) => topic)).toEqual(
    [...devices, 'd7'].map((device) => `v1/de-7f3k/${device}/status`),
  );
});

test('what is retained goes out as it is when its turn comes', async () => {
  const { desk, session } = openDesk();
  const at = '2026-01-01T00:00:00.000Z';
  for (let index = 0; index < 51; index += 1)
    desk.statuses.note({ building, device: `d${index}`, state: 'online', at, receivedAtMs: 0 }, 0n);
  const acked = Promise.withResolvers<Delivery>();
  session.outcome = acked.promise;
  desk.sendStatuses(session, 'v1/de-7f3k/+/status');
  await new Promise(setImmediate);
  expect(session.delivered).toHaveLength(50);
  // The subscriber gets this at once, by its subscription.
  desk.statuses.note({ building, device: 'd50', state: 'offline', at, receivedAtMs: 0 }, 1n);
  acked.resolve('acked');
  await new Promise(setImmediate);
  expect(session.delivered[50]?.payload.toString()).toContain('offline');
});
