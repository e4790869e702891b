import { expect, test } from 'vitest';
import { fileVersion } from './file-version.ts';

const read = { mtimeMs: 1, size: 10, ino: 5 };

test.each([{ mtimeMs: 2 }, { size: 11 }, { ino: 6 }])(
  'a file that differs by %j is another',
  (by) => {
    expect(fileVersion({ ...read, ...by })).not.toBe(fileVersion(read));
  },
);

test('a file that was not touched is the same', () => {
  expect(fileVersion({ ...read })).toBe(fileVersion(read));
});
