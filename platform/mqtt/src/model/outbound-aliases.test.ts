import { expect, test } from 'vitest';
import { OutboundAliases } from './outbound-aliases.ts';
import { seeded, seeds } from './seeded.ts';

test.each(seeds)('what the client understands is the topic that was meant (seed %d)', (seed) => {
  const dice = seeded(seed);
  const max = 1 + dice(5);
  const aliases = new OutboundAliases(max);
  const client = new Map<number, string>();
  const meant: string[] = [];
  const understood: (string | undefined)[] = [];
  let short = 0;
  for (let step = 0; step < 500; step += 1) {
    const topic = `t${dice(8)}`;
    const told = aliases.of(topic);
    if (dice(10) === 0) {
      aliases.forget(topic);
      continue;
    }
    if (told.topic === '') short += 1;
    else client.set(told.alias, told.topic);
    meant.push(topic);
    understood.push(client.get(told.alias));
  }
  expect(understood).toEqual(meant);
  expect(Math.max(...client.keys())).toBeLessThanOrEqual(max);
  expect(short).toBeGreaterThan(10);
});
