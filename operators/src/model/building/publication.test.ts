import { parseCountryCode } from '@domicile/core/identities.ts';
import { recordOfSpec } from '@domicile/core/values.ts';
import { expect, test } from 'vitest';
import type { Claim } from './claim.ts';
import { offboardedRecord, publicationOf, type RegistryEntry } from './publication.ts';

const record = recordOfSpec(
  'de-a',
  { country: 'DE', client: 'acme', timeZone: 'Europe/Berlin', floors: {} },
  parseCountryCode('DE'),
);
const building = 'de-a';
const claim: Claim = { namespace: 'north', uid: 'a-1', generation: 3, createdAtMs: 1000 };
const entry: RegistryEntry = {
  value: JSON.stringify(record),
  client: 'acme',
  state: 'active',
  passwordHash: null,
  claim,
  sinceMs: 0,
};

test('what the registry says already is not written again', () => {
  expect(publicationOf({ building, claim, record }, undefined).kind).toBe('write');
  expect(publicationOf({ building, claim, record }, entry)).toEqual({ kind: 'same' });
  expect(publicationOf({ building, claim, record: null }, undefined)).toEqual({ kind: 'same' });
  expect(publicationOf({ building, claim, record: null }, entry).kind).toBe('write');
  const out = offboardedRecord({ ...record, passwordHash: 'secret' });
  expect(out).toMatchObject({ state: 'offboarded', passwordHash: null });
  expect(publicationOf({ building, claim, record: out }, entry).kind).toBe('write');
});

test('an older state of the resource changes nothing', () => {
  const present = { ...entry, claim: { ...claim, generation: 4 } };
  expect(publicationOf({ building, claim, record: offboardedRecord(record) }, present)).toEqual({
    kind: 'stale',
  });
  expect(publicationOf({ building, claim, record: null }, present)).toEqual({ kind: 'stale' });
});

test("another's claim is overridden by name only, and then the record is written though it is the same", () => {
  const holder = { ...claim, uid: 'b-1' };
  const present = { ...entry, claim: holder };
  expect(publicationOf({ building, claim, record }, present)).toEqual({
    kind: 'contested',
    holder,
  });
  expect(publicationOf({ building, claim, record, over: holder }, present).kind).toBe('write');
  const someone = { ...holder, uid: 'c-1' };
  expect(publicationOf({ building, claim, record, over: someone }, present).kind).toBe('contested');
});

test('a building is not sold', () => {
  const present = { ...entry, client: 'other' };
  expect(publicationOf({ building, claim, record }, present)).toEqual({
    kind: 'client-differs',
    client: 'other',
  });
});
