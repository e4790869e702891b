/**
 * `make chaos [MINUTES=30] [SEED=n]`: breaks a running cell at random and proves that it kept its promises. Ends with 1 if
 * it did not.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { chaosTable } from './chaos-table.ts';
import { mustBeZero } from './judge.ts';
import { runChaos } from './run-chaos.ts';

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '30' },
    seed: { type: 'string', default: `${Math.floor(Math.random() * 1_000_000)}` },
    record: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});
const minutes = Number(values.minutes);
const seed = Number(values.seed);
const tell = (line: string): void => {
  process.stdout.write(`${line}\n`);
};

async function main(): Promise<number> {
  if (values.help || !(minutes > 0) || !Number.isInteger(seed)) {
    tell('node integrity/chaos/main.ts [--minutes 30] [--seed 1] [--record]');
    tell('--record keeps the result for docs/BENCHMARKS.md.');
    return values.help ? 0 : 2;
  }
  const report = await runChaos({
    seed,
    forMs: minutes * 60_000,
    everyMs: [12_000, 30_000],
    tell,
  });
  for (const line of chaosTable(report)) tell(line);
  const broken = mustBeZero.filter((name) => report.verdict[name] !== 0);
  if (values.record) {
    const folder = join(import.meta.dirname, '../../docs/benchmarks');
    await mkdir(folder, { recursive: true });
    const kinds = Object.fromEntries(
      Map.groupBy(report.faults, ({ kind }) => kind)
        .entries()
        .map(([kind, faults]) => [kind, faults.length]),
    );
    const machine = { cpu: cpus()[0]?.model ?? '', cores: cpus().length, node: process.version };
    const { seconds, verdict, faults } = report;
    const kept = { ...machine, seed, minutes, seconds, faults: faults.length, kinds, verdict };
    await writeFile(join(folder, 'chaos.json'), `${JSON.stringify(kept, undefined, 2)}\n`);
  }
  tell(broken.length === 0 ? `seed ${seed}: kept` : `seed ${seed}: BROKEN: ${broken.join(', ')}`);
  return broken.length === 0 ? 0 : 1;
}

// oxlint-disable-next-line unicorn/no-process-exit -- nothing is left, and Node was seen to wait without end for a request of its own
process.exit(await main());
