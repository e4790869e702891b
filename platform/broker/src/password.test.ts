import { expect, test } from 'vitest';
import { hashPassword, PasswordChecker } from './password.ts';

const cheap = { N: 16, r: 1, p: 1 };

test('a password fits its own hash alone', async () => {
  const checker = new PasswordChecker();
  const hash = await hashPassword('correct', cheap);
  expect(hash).toMatch(/^scrypt\$16\$1\$1\$[^$]+\$[^$]+$/);
  // Twice: the second answer comes from memory.
  for (let round = 0; round < 2; round += 1) {
    expect(await checker.check(Buffer.from('correct'), hash)).toBe(true);
    expect(await checker.check(Buffer.from('wrong'), hash)).toBe(false);
  }
  const changed = await hashPassword('new', cheap);
  expect(await checker.check(Buffer.from('correct'), changed)).toBe(false);
});

test.each([
  '',
  'scrypt',
  'scrypt$0$0$0$AA==$AA==',
  'scrypt$16$1$1$AA==$',
  'plain$correct',
  'scrypt$99999999$8$1$AA==$AA==',
])('nothing fits the hash %j', async (hash) => {
  expect(await new PasswordChecker().check(Buffer.from('correct'), hash)).toBe(false);
});

test('many at once are all answered, and too many are told so', async () => {
  const checker = new PasswordChecker();
  const hash = await hashPassword('correct', cheap);
  const answers = await Promise.all(
    Array.from({ length: 1100 }, (_, index) =>
      checker.check(Buffer.from(index % 2 === 0 ? 'correct' : 'wrong'), hash),
    ),
  );
  const counts = new Map<unknown, number>();
  for (const answer of answers) counts.set(answer, (counts.get(answer) ?? 0) + 1);
  expect(Object.fromEntries(counts)).toEqual({ true: 513, false: 513, busy: 74 });
});
