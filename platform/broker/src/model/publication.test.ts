import { parseBuildingId } from '@domicile/core/identities.ts';
import { expect, test } from 'vitest';
import { publicationOf, refusal } from './publication.ts';

const building = parseBuildingId('de-7f3k');
const of = (topic: string, payload: unknown = 'x') =>
  publicationOf(
    {
      topic,
      payload: Buffer.from(typeof payload === 'string' ? payload : JSON.stringify(payload)),
    },
    building,
    1_795_500_000_000,
  );

test.each([
  ['v1/de-7f3k/r1/telemetry', 'telemetry', 'telemetry/1', 'r1'],
  ['v1/de-7f3k/r1/backfill', 'backfill', 'backfill/1', 'r1'],
  ['v1/de-7f3k/gateway/account', 'telemetry', 'account-report/1', 'gateway'],
])('%s passes as it came', (topic, stream, schema, device) => {
  expect(of(topic, 'no JSON')).toEqual({ stream, schema, device, value: Buffer.from('no JSON') });
});

test.each([
  ['v1/de-other/r1/telemetry', refusal.notAuthorized],
  ['v1/us-7f3k/r1/telemetry', refusal.notAuthorized],
  ['v1/de-7f3k-2/r1/telemetry', refusal.notAuthorized],
  ['v1/de-7f3k/r1/commands/c1', refusal.notAuthorized],
  ['else', refusal.notAuthorized],
  ['v1/de-7f3k/r1/telemetry/more', refusal.topicNameInvalid],
  ['v1/de-7f3k/r1/account', refusal.topicNameInvalid],
  ['v1/de-7f3k/R1/telemetry', refusal.topicNameInvalid],
  [`v1/de-7f3k/${'/'.repeat(60_000)}`, refusal.topicNameInvalid],
])('%.40s is refused', (topic, code) => {
  expect(of(topic)).toBe(code);
});

test('a status becomes a record, with the time of receipt if it has none', () => {
  const read = (payload: unknown) => {
    const publication = of('v1/de-7f3k/r1/status', payload);
    if (typeof publication === 'number') return publication;
    return { ...publication, value: JSON.parse(publication.value.toString()) };
  };
  const base = { building: 'de-7f3k', device: 'r1', receivedAtMs: 1_795_500_000_000 };
  expect(read({ state: 'online', at: '2026-11-23T07:00:00+01:00' })).toEqual({
    stream: 'device-status',
    schema: 'device-status/1',
    device: 'r1',
    value: { ...base, state: 'online', at: '2026-11-23T06:00:00.000Z' },
    status: { ...base, state: 'online', at: '2026-11-23T06:00:00.000Z' },
  });
  expect(read({ state: 'offline' })).toMatchObject({ value: { at: '2026-11-24T06:00:00.000Z' } });
  expect(read({ state: 'offline', at: 0 })).toMatchObject({
    value: { at: '1970-01-01T00:00:00.000Z' },
  });
  for (const broken of [
    '',
    '{',
    { state: 'asleep' },
    { state: 'online', at: 'soon' },
    { state: 'online', at: 1e300 },
  ])
    expect(read(broken)).toBe(refusal.payloadFormatInvalid);
});

test('a command state is of the command of its topic', () => {
  const topic = 'v1/de-7f3k/r1/command-states/c1';
  const state = { id: 'c1', state: 'applied', at: '2026-11-23T07:00:00Z', reason: 'fine' };
  const publication = of(topic, state);
  expect(publication).toMatchObject({ stream: 'command-states', device: 'r1' });
  expect(typeof publication === 'number' || JSON.parse(publication.value.toString())).toEqual({
    ...state,
    at: '2026-11-23T07:00:00.000Z',
    building: 'de-7f3k',
    device: 'r1',
  });
  expect(of(topic, { ...state, id: 'c2' })).toBe(refusal.payloadFormatInvalid);
  expect(of(topic, { ...state, state: 'accepted' })).toBe(refusal.payloadFormatInvalid);
});
