import { expect, test } from 'vitest';
import { crc32c } from './crc32c.ts';

// RFC 3720, appendix B.4, and the check value of the catalogue of CRC algorithms.
test.each([
  ['nine digits', Buffer.from('123456789'), 0xe3069283],
  ['32 zeros', Buffer.alloc(32), 0x8a9136aa],
  ['32 ones', Buffer.alloc(32, 0xff), 0x62a8ab43],
  ['nothing', Buffer.alloc(0), 0],
])('the checksum of %s is the published one', (_name, bytes, sum) => {
  expect(crc32c(bytes)).toBe(sum);
});

test('a part is summed as if it were alone', () => {
  expect(crc32c(Buffer.from('xx123456789yy'), 2, 11)).toBe(0xe3069283);
});
