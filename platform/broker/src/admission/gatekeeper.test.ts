import type { BuildingQuotas } from '@domicile/core/building.ts';
import { parseBuildingId } from '@domicile/core/identities.ts';
import type { ConnectRequest } from '@domicile/mqtt/owner.ts';
import { reason } from '@domicile/mqtt/reason-codes.ts';
import { expect, test } from 'vitest';
import { Gatekeeper, type GatekeeperLimits } from './gatekeeper.ts';
import type { BrokerSession, Credential, Peer, PeerCertificate } from './identity.ts';

const generous: GatekeeperLimits = {
  connectionsMax: 1000,
  buildingConnectionsMax: 100,
  buildingConnectsPerSecondMax: 1e6,
  buildingSessionsMax: 100,
  buildingSubscriptionsMax: 100,
  buildingInFlightMax: 1e6,
  buildingInFlightBytesMax: 1e9,
  buildingRate: { messagesPerSecond: 1e6, bytesPerSecond: 1e9 },
  deviceRate: { messagesPerSecond: 1e6, bytesPerSecond: 1e9 },
};

const certificate: PeerCertificate = {
  serial: '0A',
  issuer: 'CN=authority',
  expiresAtMs: 1_000_000,
  uris: [],
};

/** Lets in whoever says "right"; its buildings and revocations can be changed. */
function house(limits: Partial<GatekeeperLimits> = {}) {
  const hashes = new Map([['de-a', 'hash']]);
  const quotas: { -readonly [Name in keyof BuildingQuotas]: BuildingQuotas[Name] } = {};
  const revoked = new Set<string>();
  const told: string[] = [];
  let nowMs = 0;
  const gatekeeper = new Gatekeeper({
    limits: { ...generous, ...limits },
    events: {
      admissionRefused: (cause) => told.push(cause),
      credentialEnded: (_building, client, cause) => told.push(`${client} ${cause}`),
      subscriptionRefused: () => told.push('subscription'),
      held: (limit) => told.push(limit),
      messageReceived: () => undefined,
    },
    authenticate: async ({ clientId, userName, password }) =>
      password?.toString() === 'right'
        ? { admitted: true, key: `${userName}/${clientId}`, identity: identityOf('hash') }
        : { admitted: false, reasonCode: reason.badUserNameOrPassword },
    active: (id) => {
      const passwordHash = hashes.get(id);
      const building = { id: parseBuildingId('de-a'), active: true, offset: '1' };
      const found = { ...building, passwordHash: passwordHash ?? null, quotas: { ...quotas } };
      return passwordHash === undefined ? undefined : found;
    },
    isRevoked: ({ serial }) => revoked.has(serial),
    clock: () => nowMs,
  });
  const come = (more: Partial<ConnectRequest> = {}, peer: Partial<Peer> = {}) =>
    gatekeeper.authenticate(
      {
        clientId: 'c',
        protocolVersion: 5,
        cleanStart: true,
        userName: 'de-a',
        password: Buffer.from('right'),
        will: undefined,
        ...more,
      },
      { transport: 'tcp', address: '192.0.2.1', ...peer },
    );
  const guess = (more?: Partial<ConnectRequest>, peer?: Partial<Peer>) =>
    come({ password: Buffer.from('wrong'), ...more }, peer);
  const pass = (ms: number) => void (nowMs += ms);
  return { gatekeeper, hashes, quotas, revoked, told, come, guess, pass };
}

function identityOf(passwordHash: string) {
  const credential: Credential = { kind: 'password', passwordHash };
  return {
    building: parseBuildingId('de-a'),
    gateway: undefined,
    key: Buffer.alloc(0),
    credential,
  };
}

function sessionOf(clientId: string, credential?: Credential) {
  const ends: number[] = [];
  const subscriptions = new Map<string, never>();
  const session: BrokerSession & { connected: boolean } = {
    key: `de-a/${clientId}`,
    clientId,
    identity: { ...identityOf('hash'), ...(credential && { credential }) },
    protocolVersion: 5,
    connected: true,
    expirySeconds: 0,
    subscriptions,
    wants: () => false,
    deliver: () => Promise.resolve('session-ended'),
    offer: () => false,
    withdraw: () => false,
    inFlight: 0,
    queued: 0,
    state: () => ({ subscriptions: [], receivedIds: [], inFlight: [] }),
    disconnect(code) {
      ends.push(code);
      session.connected = false;
    },
    abandon: () => undefined,
  };
  return { session, ends, subscriptions };
}

test('who fails again and again with one name from one address has to wait, and nobody else', async () => {
  const { come, guess, told } = house();
  const codes: unknown[] = [];
  for (let each = 0; each < 12; each += 1) codes.push(await guess());
  expect(codes.slice(0, 11)).toEqual(
    Array.from({ length: 11 }, () => ({ admitted: false, reasonCode: 0x86 })),
  );
  expect(codes[11]).toEqual({ admitted: false, reasonCode: 0x9f });
  expect(await come()).toEqual({ admitted: false, reasonCode: 0x9f });
  expect(await come({}, { address: '192.0.2.2' })).toMatchObject({ admitted: true });
  expect(await come({}, { certificate })).toMatchObject({ admitted: true });
  expect(await guess({ userName: 'de-unknown' })).toEqual({ admitted: false, reasonCode: 0x86 });
  expect(told.filter((cause) => cause === 'back-off')).toHaveLength(2);
});

test('who is right between failures never waits', async () => {
  const { come, guess } = house();
  for (let each = 0; each < 50; each += 1) {
    await guess();
    expect(await come()).toMatchObject({ admitted: true });
  }
});

test('who guesses at many names from one address has to wait too', async () => {
  const { guess } = house();
  for (let each = 0; each < 201; each += 1) await guess({ userName: `de-x${each}` });
  expect(await guess({ userName: 'de-y' })).toEqual({ admitted: false, reasonCode: 0x9f });
});

test.each([
  ['certificate-not-trusted', { fault: 'SELF_SIGNED_CERT_IN_CHAIN' }],
  ['certificate-expired', { fault: 'CERT_HAS_EXPIRED' }],
  ['certificate-expired', { expiresAtMs: 0 }],
  ['certificate-revoked', { serial: '0B' }],
])('%s: refused before anybody is asked', async (cause, more) => {
  const { come, revoked, told } = house();
  revoked.add('0B');
  const answer = await come({}, { certificate: { ...certificate, ...more } });
  expect(answer).toEqual({ admitted: false, reasonCode: reason.notAuthorized });
  expect(told).toEqual([cause]);
});

test('a live connection ends with what let it in: revoked, expired, changed, offboarded', () => {
  const { gatekeeper, hashes, revoked, pass, told } = house();
  const byA = sessionOf('A', { kind: 'certificate', ...certificate });
  const byB = sessionOf('B', { kind: 'certificate', ...certificate, serial: '0B' });
  const byPassword = sessionOf('P', { kind: 'password', passwordHash: 'hash' });
  const all = [byA, byB, byPassword];
  for (const { session } of all) gatekeeper.opened(session);
  gatekeeper.review();
  expect(all.map(({ ends }) => ends)).toEqual([[], [], []]);
  revoked.add('0B');
  gatekeeper.review();
  expect(all.map(({ ends }) => ends)).toEqual([[], [0x87], []]);
  hashes.set('de-a', 'another');
  gatekeeper.buildingChanged('de-a');
  expect(all.map(({ ends }) => ends)).toEqual([[], [0x87], [0x87]]);
  pass(1_000_000);
  gatekeeper.review();
  expect(all.map(({ ends }) => ends)).toEqual([[0x87], [0x87], [0x87]]);
  expect(told).toEqual(['B certificate-revoked', 'P password-changed', 'A certificate-expired']);
  const late = sessionOf('late');
  hashes.delete('de-a');
  gatekeeper.opened(late.session);
  expect(late.ends).toEqual([0x87]);
});

test('a building has so many connections and sessions, and its own session it may take over', async () => {
  const { gatekeeper, come, told } = house({ buildingConnectionsMax: 2, buildingSessionsMax: 3 });
  const [one, two] = [sessionOf('1'), sessionOf('2')];
  gatekeeper.opened(one.session);
  gatekeeper.opened(two.session);
  expect(await come({ clientId: '3' })).toEqual({ admitted: false, reasonCode: 0x97 });
  expect(await come({ clientId: '1' })).toMatchObject({ admitted: true });
  // Three that were let in at once while none was open.
  const three = sessionOf('3');
  gatekeeper.opened(three.session);
  expect(three.ends).toEqual([0x97]);
  one.session.connected = false;
  two.session.connected = false;
  expect(await come({ clientId: '3' })).toMatchObject({ admitted: true });
  expect(await come({ clientId: '4' })).toEqual({ admitted: false, reasonCode: 0x97 });
  gatekeeper.ended(one.session);
  expect(await come({ clientId: '4' })).toMatchObject({ admitted: true });
  expect(told).toEqual(['building-connections', 'building-connections', 'building-sessions']);
});

test('a building has so many subscriptions; one that it has it may renew', () => {
  const { gatekeeper, told } = house({ buildingSubscriptionsMax: 2 });
  const { session, subscriptions } = sessionOf('1');
  gatekeeper.opened(session);
  const asks = (name: string) => gatekeeper.subscribing(session, { name });
  expect(asks('a')).toBeUndefined();
  Object.assign(session, {
    subscriptions: new Map([
      ['a', {}],
      ['b', {}],
    ]),
  });
  expect([asks('a'), asks('c')]).toEqual([undefined, 0x97]);
  expect([subscriptions.size, gatekeeper.subscriptions, told]).toEqual([0, 2, ['subscription']]);
});

test('a building over its rate is held, and a device over its own holds its connection alone', () => {
  const { gatekeeper, told } = house({
    deviceRate: { messagesPerSecond: 100, bytesPerSecond: 1e9 },
  });
  const [loud, calm] = [sessionOf('loud').session, sessionOf('calm').session];
  let holdMs = 0;
  for (let each = 0; each < 300; each += 1) {
    gatekeeper.took(loud, { device: 'd1', bytes: 10, qos: 1 });
    holdMs = Math.max(holdMs, gatekeeper.holdMs(loud, 10));
  }
  gatekeeper.took(calm, { device: 'd2', bytes: 10, qos: 1 });
  expect(holdMs).toBeGreaterThan(500);
  expect(gatekeeper.holdMs(calm, 10)).toBe(0);
  expect(new Set(told)).toEqual(new Set(['device-messages', 'device-peak']));
});

test('clients that come and go without end are let in at a rate', async () => {
  const { come, told } = house({ buildingConnectsPerSecondMax: 5 });
  const answers: unknown[] = [];
  for (let each = 0; each < 25; each += 1) answers.push(await come({ clientId: `${each}` }));
  expect(answers[19]).toMatchObject({ admitted: true });
  expect(answers[24]).toEqual({ admitted: false, reasonCode: 0x9f });
  expect(told).toContain('building-connects');
});

test('a building that waits for Kafka is read from a little, and again when Kafka has it', () => {
  const { gatekeeper, told } = house({ buildingInFlightMax: 2, buildingInFlightBytesMax: 100 });
  const { session } = sessionOf('1');
  gatekeeper.began(session, 10);
  expect(gatekeeper.holdMs(session, 10)).toBe(0);
  gatekeeper.began(session, 10);
  expect(gatekeeper.holdMs(session, 10)).toBeGreaterThan(0);
  gatekeeper.settled(session, 10);
  expect(gatekeeper.holdMs(session, 10)).toBe(0);
  gatekeeper.settled(session, 10);
  gatekeeper.began(session, 100);
  expect(gatekeeper.holdMs(session, 10)).toBeGreaterThan(0);
  gatekeeper.settled(session, 100);
  expect(gatekeeper.holdMs(session, 10)).toBe(0);
  expect(told).toEqual(['building-in-flight', 'building-in-flight']);
  // The further over, the longer.
  gatekeeper.began(session, 110);
  const little = gatekeeper.holdMs(session, 10);
  gatekeeper.began(session, 190);
  expect(gatekeeper.holdMs(session, 10)).toBeGreaterThan(20 * little);
});

test('a full broker says that it is busy', async () => {
  const { gatekeeper, come } = house({ connectionsMax: 1 });
  const { session } = sessionOf('1');
  gatekeeper.opened(session);
  expect(await come({ clientId: '2' })).toEqual({ admitted: false, reasonCode: 0x89 });
  session.connected = false;
  gatekeeper.closed(session);
  expect(await come({ clientId: '2' })).toMatchObject({ admitted: true });
});

test('a rate of the registry holds from its record on, and the own one again without it', () => {
  const { gatekeeper, quotas } = house();
  const { session } = sessionOf('a');
  gatekeeper.opened(session);
  const flood = () => {
    let held = 0;
    for (let each = 0; each < 100; each += 1) held = Math.max(held, gatekeeper.holdMs(session, 10));
    return held;
  };
  expect(flood()).toBe(0);
  quotas.messagesPerSecond = 5;
  gatekeeper.buildingChanged('de-a');
  // Ten pass at once, ninety at five a second.
  expect(flood()).toBeGreaterThan(10_000);
  gatekeeper.buildingChanged('de-a');
  // Another record of the same quotas forgives no debt.
  expect(gatekeeper.holdMs(session, 10)).toBeGreaterThan(10_000);
  delete quotas.messagesPerSecond;
  quotas.bytesPerSecond = 100;
  gatekeeper.buildingChanged('de-a');
  expect(flood()).toBeGreaterThan(5_000);
  delete quotas.bytesPerSecond;
  gatekeeper.buildingChanged('de-a');
  expect(flood()).toBe(0);
});

test('connections of the registry: no more are let in, and the last ones go', async () => {
  const { gatekeeper, quotas, come, pass } = house();
  const all = ['a', 'b', 'c'].map((name) => sessionOf(name));
  for (const { session } of all) {
    gatekeeper.opened(session);
    pass(1000);
  }
  expect(await come({ clientId: 'd' })).toMatchObject({ admitted: true });
  quotas.connections = 2;
  gatekeeper.buildingChanged('de-a');
  expect(all.map(({ ends }) => ends)).toEqual([[], [], [reason.quotaExceeded]]);
  expect(await come({ clientId: 'd' })).toEqual({
    admitted: false,
    reasonCode: reason.quotaExceeded,
  });
  quotas.connections = 3;
  gatekeeper.buildingChanged('de-a');
  expect(await come({ clientId: 'd' })).toMatchObject({ admitted: true });
});
