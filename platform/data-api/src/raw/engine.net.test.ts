import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, expect, test } from 'vitest';
import { Engine } from './engine.ts';
import { Gate, type GateOptions } from './gate.ts';

const endless = 'select count(*) from range(1000000) a, range(1000000) b';

const started = new Set<() => Promise<void>>();
afterEach(async () => {
  for (const end of started) await end();
  started.clear();
});

async function startEngine(more: Partial<GateOptions> = {}) {
  const gate = new Gate({ runningMax: 1, waitingMax: 1, timeoutMs: 20_000, ...more });
  const folder = await mkdtemp(join(tmpdir(), 'engine-'));
  await mkdir(join(folder, 'lake'));
  await writeFile(join(folder, 'lake', 'in.csv'), 'a\n1\n');
  await writeFile(join(folder, 'outside.csv'), 'a\n1\n');
  const engine = await Engine.start({
    readable: [join(folder, 'lake')],
    memoryMegabytesMax: 128,
    threads: 1,
    gate,
  });
  started.add(async () => {
    engine[Symbol.dispose]();
    await rm(folder, { recursive: true });
  });
  return { engine, gate, folder };
}

const here = () => new AbortController().signal;

test('a query ends at its deadline, and the engine goes on', async () => {
  const { engine } = await startEngine({ timeoutMs: 1_000 });
  const before = Date.now();
  const query = engine.run(here(), ({ connection }) => connection.run(endless));
  await expect(query).rejects.toThrow('Cannot answer in time');
  expect(Date.now() - before).toBeLessThan(15_000);
  await engine.run(here(), ({ connection }) => connection.run('select 1'));
});

test('a query whose asker left before it began does not begin', async () => {
  const { engine, gate } = await startEngine();
  const gone = new AbortController();
  let hasBegun = false;
  const query = engine.run(gone.signal, async () => {
    hasBegun = true;
  });
  gone.abort();
  await expect(query).rejects.toThrow('Cannot answer in time');
  await expect(engine.run(gone.signal, () => Promise.resolve())).rejects.toThrow('in time');
  expect([hasBegun, gate.running]).toEqual([false, 0]);
});

test('a query ends when its asker has gone', async () => {
  const { engine } = await startEngine();
  const gone = new AbortController();
  const query = engine.run(gone.signal, ({ connection }) => connection.run(endless));
  await sleep(100);
  gone.abort();
  await expect(query).rejects.toThrow('Cannot answer in time');
});

test('queries beyond the bound wait, and beyond that are refused', async () => {
  const { engine, gate } = await startEngine();
  const first = Promise.withResolvers<void>();
  const one = engine.run(here(), () => first.promise);
  const two = engine.run(here(), () => Promise.resolve('two'));
  await expect(engine.run(here(), () => Promise.resolve('three'))).rejects.toThrow('too many');
  first.resolve();
  await one;
  expect(await two).toBe('two');
  expect(gate.running).toBe(0);
});

test('it reads what it may and nothing else, and its settings are locked', async () => {
  const { engine, folder } = await startEngine();
  const run = (sql: string) =>
    engine.run(here(), async ({ connection }) => connection.runAndReadAll(sql));
  expect((await run(`from read_csv('${folder}/lake/in.csv')`)).getRowsJson()).toHaveLength(1);
  for (const sql of [
    `from read_csv('${folder}/outside.csv')`,
    `from read_csv('${folder}/lake/../outside.csv')`,
    "from read_text('/etc/passwd')",
    "set memory_limit = '10GB'",
    'set enable_external_access = true',
    'install httpfs',
    "from read_csv('http://127.0.0.1:1/x.csv')",
  ])
    await expect(run(sql)).rejects.toThrow(/disabled|locked|Permission|Cannot/);
});

test('memory is bounded', async () => {
  const { engine } = await startEngine();
  const query = engine.run(here(), ({ connection }) =>
    connection.run('create temp table t as select range a, random() b from range(100000000)'),
  );
  await expect(query).rejects.toThrow('needs more memory');
});
