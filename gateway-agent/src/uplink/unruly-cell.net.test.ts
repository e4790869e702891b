import { setTimeout as wait } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { TestRandom } from '../model/test-random.ts';
import type { Agent } from '../running-agent.ts';
import { configText, testAgent, testDirectory, until } from '../test-agent.ts';
import { TestCell } from '../test-cell.ts';

const total = 1500;

async function post(agent: Agent, device: string, n: number): Promise<void> {
  const url = `http://127.0.0.1:${agent.ports['http']}/v1/devices/${device}/telemetry`;
  const body = JSON.stringify({ values: { n } });
  const headers = { 'content-type': 'application/json' };
  const answer = await fetch(url, { method: 'POST', headers, body });
  if (!answer.ok) throw new Error(`Cannot post: ${answer.status}`);
}

test.each([11, 12, 13])(
  'refusals, hanging acks, outages and restarts lose nothing and reuse no number (seed %i)',
  async (seed) => {
    const random = new TestRandom(seed);
    await using cell = await TestCell.start();
    await using directory = await testDirectory();
    const text = configText(cell.url, {
      drivers: { http: { port: 0, requestsPerSecondMax: 10_000 } },
      uplink: { backfillPerSecond: 50_000, drainTimeoutMs: 200, inFlightMax: 40 },
      store: { segmentBytesMax: 20_000 },
    });
    let isUnruly = true;
    cell.answer = async () => {
      if (!isUnruly) return undefined;
      const chance = random.next();
      if (chance < 0.15) return random.pick([0x80, 0x83, 0x97]);
      if (chance < 0.2) await wait(300);
      return undefined;
    };
    let agent = await testAgent(directory.path, text);
    const boots = new Set([agent.store.boot]);
    for (let n = 0; n < total; n += 10) {
      await Promise.all(Array.from({ length: 10 }, (_, place) => post(agent, `d${place}`, n)));
      const chance = random.next();
      if (chance < 0.04) {
        await cell.close();
        await wait(random.below(100));
        await cell.open();
      } else if (chance < 0.06) {
        await agent[Symbol.asyncDispose]();
        agent = await testAgent(directory.path, text);
        boots.add(agent.store.boot);
      }
    }
    isUnruly = false;
    await using last = agent;
    await until(() => last.store.unsent.length === 0, { timeoutMs: 40_000 });
    const meanings = new Map<string, unknown>();
    const clashes: string[] = [];
    for (const { device, boot, seq, values } of cell.readings()) {
      const number = `${device} ${boot} ${seq}`;
      if (meanings.has(number) && meanings.get(number) !== values['n']) clashes.push(number);
      meanings.set(number, values['n']);
    }
    expect(clashes).toEqual([]);
    expect(meanings.size).toBe(total);
    expect(boots.size).toBe(1);
  },
);
