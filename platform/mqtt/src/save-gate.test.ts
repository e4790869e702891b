import { expect, test } from 'vitest';
import { SaveGate } from './save-gate.ts';

function gateOf() {
  const saves: PromiseWithResolvers<void>[] = [];
  const told: string[] = [];
  const gate = new SaveGate(() => {
    const save = Promise.withResolvers<void>();
    saves.push(save);
    return save.promise;
  });
  const ask = (name: string) =>
    gate.ask(
      () => told.push(name),
      () => told.push(`${name} failed`),
    );
  const settled = () => new Promise(setImmediate);
  return { saves, told, ask, settled };
}

test('what asks in one turn is saved together, what asks later by the next save', async () => {
  const { saves, told, ask, settled } = gateOf();
  ask('a');
  ask('b');
  expect(saves).toHaveLength(0);
  await settled();
  ask('c');
  ask('d');
  await settled();
  expect([saves.length, told.length]).toEqual([1, 0]);
  saves[0]?.resolve();
  await settled();
  expect(told).toEqual(['a', 'b']);
  expect(saves).toHaveLength(2);
  saves[1]?.resolve();
  await settled();
  ask('e');
  await settled();
  expect(told).toEqual(['a', 'b', 'c', 'd']);
  expect(saves).toHaveLength(3);
});

test('a failed save is told to those who waited for it, and the next ones have theirs', async () => {
  const { saves, told, ask, settled } = gateOf();
  ask('a');
  await settled();
  ask('b');
  saves[0]?.reject(new Error('away'));
  await settled();
  saves[1]?.resolve();
  await settled();
  expect(told).toEqual(['a failed', 'b']);
});
