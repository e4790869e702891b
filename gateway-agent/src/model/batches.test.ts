import { expect, test } from 'vitest';
import { messageBytesMax, messagesOf, readingsPerMessageMax } from './batches.ts';

const record = (index: number, device: string, text: string, kind = 'own') => ({
  index,
  device,
  kind,
  body: Buffer.from(text),
});

test('readings of one device share a message, in their order', () => {
  const messages = messagesOf([
    record(0, 'a', '{"n":0}'),
    record(1, 'b', '{"n":1}'),
    record(2, 'a', '{"n":2}'),
    record(3, 'a', '{', 'opaque'),
    record(4, 'a', '{"n":4}'),
  ]);
  expect(
    messages.map(({ device, payload, indices }) => [device, payload.toString(), indices]),
  ).toEqual([
    ['a', '[{"n":0},{"n":2}]', [0, 2]],
    ['a', '{', [3]],
    ['b', '{"n":1}', [1]],
    ['a', '{"n":4}', [4]],
  ]);
});

test('no message is longer than the cell takes', () => {
  const many = Array.from({ length: 2500 }, (_, index) => record(index, 'a', '{}'));
  const long = Array.from({ length: 9 }, (_, index) => record(index, 'b', 'x'.repeat(60_000)));
  const messages = messagesOf([...many, ...long]);
  for (const { payload, indices } of messages) {
    expect(indices.length).toBeLessThanOrEqual(readingsPerMessageMax);
    expect(payload.length).toBeLessThanOrEqual(messageBytesMax);
  }
  expect(messages.flatMap(({ indices }) => indices)).toHaveLength(2509);
  expect(messages).toHaveLength(3 + 3);
});
