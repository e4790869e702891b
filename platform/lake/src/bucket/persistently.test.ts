import { PlatformError } from '@domicile/core/errors.ts';
import { expect, test } from 'vitest';
import { persistently } from './persistently.ts';
import { StoreOutage } from './store-outage.ts';

const quick = { attemptsMax: 3, delayMs: 1, delayMsMax: 2, attemptTimeoutMs: 50 };
const down = () =>
  new PlatformError('UPSTREAM_UNAVAILABLE', 'Cannot reach the store: it answers 503');
const refusal = () =>
  new PlatformError('FORBIDDEN', 'Cannot reach the object: the store refuses it');

test('an outage is told from the first attempt that fails until the next one that is answered', async () => {
  let nowMs = 1_000;
  const outage = new StoreOutage('the landing bucket', () => nowMs);
  const told: (string | undefined)[] = [];
  const asked = persistently({ ...quick, outage }, async () => {
    told.push(outage.reason);
    nowMs += 500;
    if (told.length < 3) throw down();
    return 'answered';
  });
  expect(await asked).toBe('answered');
  const since = 'the landing bucket is out since 1970-01-01T00:00:01.500Z';
  expect(told.slice(1)).toEqual(Array(2).fill(`${since}: Cannot reach the store: it answers 503`));
  expect([outage.reason, outage.seconds]).toEqual([undefined, 0]);
  await expect(
    persistently({ ...quick, outage }, async () => {
      throw down();
    }),
  ).rejects.toMatchObject({ code: 'UPSTREAM_UNAVAILABLE' });
  nowMs += 5_000;
  expect(outage.seconds).toBe(5);
  // That there is no such object is an answer.
  const missing = persistently({ ...quick, outage }, async () => {
    throw new PlatformError('NOT_FOUND', 'Cannot read: there is no such object');
  });
  await expect(missing).rejects.toMatchObject({ code: 'NOT_FOUND' });
  expect(outage.seconds).toBe(0);
});

test('a store that hangs is told as one that is out', async () => {
  const outage = new StoreOutage('the serving bucket');
  await expect(
    persistently({ ...quick, outage }, () => new Promise(() => undefined)),
  ).rejects.toMatchObject({ code: 'UPSTREAM_UNAVAILABLE' });
  expect(outage.reason).toContain('it does not answer');
});

test('a request that hung and ends after a later one was answered begins no outage', async () => {
  const outage = new StoreOutage('the landing bucket');
  const once = { ...quick, attemptsMax: 1, outage };
  const hung = persistently(once, () => new Promise(() => undefined));
  expect(await persistently(once, async () => 'answered')).toBe('answered');
  await expect(hung).rejects.toMatchObject({ code: 'UPSTREAM_UNAVAILABLE' });
  expect([outage.reason, outage.seconds]).toEqual([undefined, 0]);
});

test('what is refused to a service may pass, and to others it is refused at once', async () => {
  const tries = { service: 0, other: 0 };
  const outage = new StoreOutage('the landing bucket');
  const service = persistently({ ...quick, outage, isRefusalPassing: true }, async () => {
    tries.service += 1;
    throw refusal();
  });
  await expect(service).rejects.toMatchObject({ code: 'UPSTREAM_UNAVAILABLE' });
  expect(outage.reason).toContain('the store refuses it');
  const other = persistently(quick, async () => {
    tries.other += 1;
    throw refusal();
  });
  await expect(other).rejects.toMatchObject({ code: 'FORBIDDEN' });
  expect(tries).toEqual({ service: 3, other: 1 });
});
