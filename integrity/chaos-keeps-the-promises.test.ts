import { expect, test } from 'vitest';
import { chaosTable } from './chaos/chaos-table.ts';
import { mustBeZero } from './chaos/judge.ts';
import { runChaos } from './chaos/run-chaos.ts';

// The short form of `make chaos`: two brokers, two buildings, a fault every few seconds.

const seed = Math.floor(Math.random() * 1_000_000);
const zeros = Object.fromEntries(mustBeZero.map((name) => [name, 0]));

test(
  `random faults: what was acked is kept once, in order, and accounted for (seed ${seed})`,
  { timeout: 900_000 },
  async () => {
    const tell = (line: string): void => {
      process.stdout.write(`${line}\n`);
    };
    const report = await runChaos({ seed, forMs: 90_000, everyMs: [4_000, 10_000], tell });
    for (const line of chaosTable(report)) tell(line);
    expect(report.faults.length).toBeGreaterThanOrEqual(8);
    expect(report.verdict.acked).toBeGreaterThan(2_000);
    expect(report.verdict).toMatchObject(zeros);
  },
);
