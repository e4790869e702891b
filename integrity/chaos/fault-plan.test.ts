import { expect, test } from 'vitest';
import { type FaultKind, faultKinds, planFaults } from './fault-plan.ts';

const targets: Readonly<Record<FaultKind, readonly string[]>> = {
  kill: ['a', 'b', 'c'],
  pause: ['a'],
  'restart-kafka': ['kafka'],
  cut: ['x', 'y'],
  delay: ['x', 'y'],
  throttle: ['x'],
  'half-open': ['x'],
  'fill-store': ['s'],
  'skew-clock': ['s'],
  'rotate-certificates': ['broker'],
};
const order = { forMs: 1_800_000, everyMs: [12_000, 30_000], targets } as const;

test('the same seed gives the same faults, another seed others', () => {
  expect(planFaults({ ...order, seed: 7 })).toEqual(planFaults({ ...order, seed: 7 }));
  expect(planFaults({ ...order, seed: 7 })).not.toEqual(planFaults({ ...order, seed: 8 }));
});

test.each([1, 2, 3, 4, 5])('half an hour has at least 60 faults of all kinds (seed %i)', (seed) => {
  const faults = planFaults({ ...order, seed });
  expect(faults.length).toBeGreaterThanOrEqual(60);
  expect(new Set(faults.map(({ kind }) => kind))).toEqual(new Set(faultKinds));
  const killed = faults.filter(({ kind }) => kind === 'kill').map(({ target }) => target);
  expect(new Set(killed)).toEqual(new Set(targets.kill));
  for (const { kind, target, atMs } of faults) {
    expect(targets[kind]).toContain(target);
    expect(atMs).toBeLessThan(order.forMs);
  }
});
