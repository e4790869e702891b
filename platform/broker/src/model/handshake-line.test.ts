import { expect, test } from 'vitest';
import { HandshakeLine } from './handshake-line.ts';

const options = { perSecondMax: 500, waitingMax: 100, addressWaitingMax: 50 };

function taken(line: HandshakeLine<string>, nowMs: number): string[] {
  const items: string[] = [];
  for (let item = line.next(nowMs); item !== undefined; item = line.next(nowMs)) items.push(item);
  return items;
}

test('so many begin at once, the others at their rate', () => {
  const line = new HandshakeLine<string>(options, 0);
  for (let each = 0; each < 30; each += 1) line.join('a', `a${each}`);
  expect(taken(line, 0)).toHaveLength(10);
  expect(line.waitMs(0)).toBe(2);
  expect(taken(line, 1)).toEqual([]);
  expect(taken(line, 10)).toEqual(['a10', 'a11', 'a12', 'a13', 'a14']);
  expect(line.waiting).toBe(15);
});

test('addresses take turns: who comes into a storm waits for one of it, not for all', () => {
  const line = new HandshakeLine<string>(options, 0);
  for (let each = 0; each < 40; each += 1) line.join('storm', `s${each}`);
  expect(taken(line, 0)).toHaveLength(10);
  line.join('calm', 'c0');
  expect(taken(line, 4)).toEqual(['s10', 'c0']);
});

test('lines are bounded, of one address and of all', () => {
  const line = new HandshakeLine<string>(options, 0);
  const joined = Array.from({ length: 60 }, () => line.join('a', 'x'));
  expect(joined.filter((refusal) => refusal === 'address-line-full')).toHaveLength(10);
  for (let each = 0; each < 50; each += 1) expect(line.join(`b${each}`, 'x')).toBeUndefined();
  expect(line.join('late', 'x')).toBe('line-full');
});

test('who goes away while waiting makes room', () => {
  const line = new HandshakeLine<string>(options, 0);
  for (let each = 0; each < 12; each += 1) line.join('a', `a${each}`);
  expect(taken(line, 0)).toHaveLength(10);
  line.leave('a', 'a10');
  line.leave('a', 'never');
  expect(line.waiting).toBe(1);
  expect(taken(line, 1000)).toEqual(['a11']);
});

test('a turn that cost nothing is given to the next', () => {
  const line = new HandshakeLine<string>(options, 0);
  for (let each = 0; each < 12; each += 1) line.join('a', `a${each}`);
  expect(taken(line, 0)).toHaveLength(10);
  line.giveBack();
  expect(taken(line, 0)).toEqual(['a10']);
  for (let each = 0; each < 100; each += 1) line.giveBack();
  for (let each = 0; each < 20; each += 1) line.join('a', 'x');
  expect(taken(line, 0)).toHaveLength(10);
});
