import { expect, test } from 'vitest';
import { keptBytes } from './kept-bytes.ts';

test.for(['', 'de-7f3k/r101-air', 'Grüße, 東京'])('keeps %j and nothing around it', (text) => {
  const whole = Buffer.from(`before ${text} after`);
  const slice = whole.subarray(7, whole.length - 6);
  for (const kept of [keptBytes(text), keptBytes(slice)]) {
    expect(kept.toString()).toBe(text);
    expect(kept.buffer.byteLength).toBe(kept.length);
  }
});
