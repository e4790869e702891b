import { expect, test } from 'vitest';
import type { Claim } from './claim.ts';
import {
  encodeEnrolment,
  type EnrolmentChange,
  enrolmentShardOf,
  enrolmentShards,
  enrolmentToWrite,
} from './enrolment.ts';

const claim: Claim = { namespace: 'north', uid: 'a-1', generation: 3, createdAtMs: 1000 };
const tokenSha256 = 'ab'.repeat(32);
const change: EnrolmentChange = {
  building: 'de-a',
  claim,
  entry: { state: 'active', tokenSha256 },
};
const written = encodeEnrolment(change) ?? '';

test('an entry is written when it differs, and only for a newer state of the resource', () => {
  expect(enrolmentToWrite(change, undefined)).toBe(written);
  expect(enrolmentToWrite(change, written)).toBeUndefined();
  const newer = { ...change, claim: { ...claim, generation: 4 } };
  expect(enrolmentToWrite(newer, written)).toBeUndefined();
  const out: EnrolmentChange = { ...newer, entry: { state: 'offboarded', tokenSha256 } };
  const taken = enrolmentToWrite(out, written) ?? '';
  expect(JSON.parse(taken)).toMatchObject({ state: 'offboarded', building: 'de-a', tokenSha256 });
  // A leader that was paused before it was taken out.
  expect(enrolmentToWrite(change, taken)).toBeUndefined();
  // Declared again by a new resource.
  const again = { ...change, claim: { ...claim, uid: 'b-1', generation: 1 } };
  expect(enrolmentToWrite(again, taken)).toBe(encodeEnrolment(again));
});

test('what cannot be read is written anew, and what is gone is not taken away twice', () => {
  expect(enrolmentToWrite(change, 'nonsense')).toBe(written);
  const gone = { ...change, entry: null };
  expect(enrolmentToWrite(gone, undefined)).toBeUndefined();
  expect(enrolmentToWrite(gone, written)).toBeNull();
});

test('buildings are spread over all Secrets, and an entry is small', () => {
  const counts = new Map<number, number>();
  for (let n = 0; n < 8000; n += 1) {
    const shard = enrolmentShardOf(`de-building-${n}`);
    counts.set(shard, (counts.get(shard) ?? 0) + 1);
  }
  expect(counts.size).toBe(enrolmentShards);
  expect(Math.max(...counts.values())).toBeLessThan(1500);
  // In base64, with its key: 2,500 of the longest names fit into a Secret.
  const long = encodeEnrolment({
    ...change,
    building: `de-${'x'.repeat(60)}`,
    claim: { ...claim, namespace: 'n'.repeat(63), uid: 'u'.repeat(36) },
  });
  expect(((long?.length ?? 0) * 4) / 3 + 70).toBeLessThan(600);
});
