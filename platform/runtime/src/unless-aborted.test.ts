import { expect, test } from 'vitest';
import { unlessAborted } from './unless-aborted.ts';

const never = new Promise<never>(() => undefined);

test('gives what the work gives, and throws what it throws', async () => {
  const { signal } = new AbortController();
  expect(await unlessAborted(signal, Promise.resolve('done'))).toBe('done');
  await expect(unlessAborted(signal, Promise.reject(new Error('no')))).rejects.toThrow('no');
});

test('gives up as soon as the signal aborts, and at once if it has aborted before', async () => {
  const stop = new AbortController();
  const waiting = unlessAborted(stop.signal, never);
  stop.abort(new Error('it ends'));
  await expect(waiting).rejects.toThrow('it ends');
  await expect(unlessAborted(stop.signal, never)).rejects.toThrow('it ends');
});
