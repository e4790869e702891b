import { expect, test } from 'vitest';
import { Repeats } from './repeats.ts';

const payload = Buffer.from('{"values":{"co2":612}}');

function kept() {
  const calls: number[] = [];
  return { calls, keep: async () => void calls.push(1) };
}

test('a retry is what comes marked, or what no ack can have gone out for', async () => {
  const repeats = new Repeats(() => 0);
  const { calls, keep } = kept();
  const message = { packetId: 7, dup: false, payload };
  expect(await repeats.once(message, keep)).toBe('kept');
  expect(await repeats.once({ ...message, dup: true }, keep)).toBe('repeated');
  repeats.disconnected();
  expect(await repeats.once({ ...message, dup: true }, keep)).toBe('repeated');
  expect(await repeats.once(message, keep)).toBe('kept');
  expect(await repeats.once({ ...message, dup: true, payload: Buffer.from('{}') }, keep)).toBe(
    'kept',
  );
  expect(calls).toHaveLength(3);
});

test('what was cut off before its ack is a retry also without the mark', async () => {
  const repeats = new Repeats(() => 0);
  const disk = Promise.withResolvers<void>();
  const { calls, keep } = kept();
  const message = { packetId: 7, dup: false, payload };
  const first = repeats.once(message, () => disk.promise);
  repeats.disconnected();
  const second = repeats.once(message, keep);
  disk.resolve();
  expect([await first, await second]).toEqual(['kept', 'repeated']);
  expect(await repeats.once(message, keep)).toBe('kept');
  expect(calls).toHaveLength(1);
});

test('what could not be kept is no repeat when it comes again', async () => {
  const repeats = new Repeats(() => 0);
  const { keep } = kept();
  const message = { packetId: 7, dup: false, payload };
  const failed = repeats.once(message, () => Promise.reject(new Error('disk')));
  await expect(failed).rejects.toThrow('disk');
  expect(await repeats.once({ ...message, dup: true }, keep)).toBe('kept');
});

test('memory is bounded by number and by age', async () => {
  let nowMs = 0;
  const repeats = new Repeats(() => nowMs);
  const { keep } = kept();
  for (let packetId = 1; packetId <= 2000; packetId += 1)
    await repeats.once({ packetId, dup: false, payload }, keep);
  expect(repeats.size).toBe(1000);
  nowMs = 400_000;
  await repeats.once({ packetId: 3000, dup: false, payload }, keep);
  expect(repeats.size).toBe(1);
});
