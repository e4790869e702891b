import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { testDirectory } from './test-agent.ts';
import { TestCell } from './test-cell.ts';
import { AgentProcess } from './test-process.ts';

const occupancy = join(import.meta.dirname, '../../examples/occupancy');
const backlog = 250_000;

async function unsentOf(agent: AgentProcess): Promise<number> {
  const metrics = await (await fetch(`${agent.addresses?.admin}/metrics`)).text();
  return Number(/^gateway_store_unsent_records\{[^}]*\} (\d+)/m.exec(metrics)?.[1] ?? -1);
}

async function untilUnsent(agent: AgentProcess, is: (count: number) => boolean): Promise<void> {
  const from = performance.now();
  for (let count = -1; !is(count); count = await unsentOf(agent)) {
    if (performance.now() - from > 50_000) throw new Error(`Cannot wait longer: ${count} unsent`);
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

// As objects, this backlog would take more than twice the heap that the agent gets here.
test(
  'a backlog of any size is taken in and sent on with a small heap',
  { timeout: 120_000 },
  async () => {
    await using cell = await TestCell.start();
    await cell.close();
    await using directory = await testDirectory();
    const mapping = {
      files: [join(occupancy, 'datatest.txt')],
      every: 'PT10S',
      history: `PT${backlog / 10}S`,
      rooms: 'r[001-025]',
      devices: Object.fromEntries(['a', 'b', 'c', 'd'].map((name) => [name, { co2: 'CO2' }])),
    };
    await writeFile(join(directory.path, 'replay.json'), JSON.stringify(mapping));
    await using agent = new AgentProcess(directory.path);
    await agent.configure(cell.url, {
      drivers: { replay: { mappingFile: 'replay.json' } },
      uplink: { backfillPerSecond: 1_000_000 },
    });
    const small = { NODE_OPTIONS: '--max-old-space-size=48 --max-semi-space-size=4' };
    await agent.start(small);
    await untilUnsent(agent, (count) => count >= backlog);
    await agent.stop('SIGTERM');
    await cell.open();
    await agent.start(small);
    await untilUnsent(agent, (count) => count >= 0 && count < 1000);
    await expect
      .poll(() => cell.readings().length, { timeout: 30_000, interval: 1000 })
      .toBeGreaterThanOrEqual(backlog);
  },
);
