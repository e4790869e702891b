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

test('many at once with one password cost one derivation', async () => {
  const checker = new PasswordChecker();
  const hash = await hashPassword('correct', cheap);
  const answers = await Promise.all(
    Array.from({ length: 2000 }, (_, index) =>
      checker.check(Buffer.from(index % 2 === 0 ? 'correct' : 'wrong'), hash),
    ),
  );
  expect(answers).toEqual(Array.from({ length: 2000 }, (_, index) => index % 2 === 0));
});

test('who guesses at one hash is told to wait, and holds up no other', async () => {
  const checker = new PasswordChecker();
  const [guessed, other] = [await hashPassword('correct', cheap), await hashPassword('b', cheap)];
  const guesses = Array.from({ length: 1000 }, (_, index) =>
    checker.check(Buffer.from(`guess ${index}`), guessed),
  );
  let done = 0;
  for (const guess of guesses) void guess.then((answer) => answer === false && (done += 1));
  expect(await checker.check(Buffer.from('b'), other)).toBe(true);
  expect(done).toBeLessThan(20);
  const answers = await Promise.all(guesses);
  expect(answers.filter((answer) => answer === 'busy')).toHaveLength(1000 - 130);
});
