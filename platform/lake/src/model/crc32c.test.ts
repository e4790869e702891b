import { expect, test } from 'vitest';
import { crc32cOf } from './crc32c.ts';

test('the vectors of RFC 3720, appendix B.4', () => {
  const counting = Uint8Array.from({ length: 32 }, (_, index) => index);
  expect(crc32cOf(new Uint8Array(32))).toBe('8a9136aa');
  expect(crc32cOf(new Uint8Array(32).fill(0xff))).toBe('62a8ab43');
  expect(crc32cOf(counting)).toBe('46dd794e');
  expect(crc32cOf(counting.toReversed())).toBe('113fdb5c');
});

test('lengths that are no multiple of eight, and none', () => {
  expect(crc32cOf(Buffer.from('123456789'))).toBe('e3069283');
  expect(crc32cOf(new Uint8Array())).toBe('00000000');
});
