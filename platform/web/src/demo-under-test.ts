import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, openSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { must } from '@domicile/core/invariants.ts';
import { z } from 'zod';
import { demoEnvironment, readTestConfig } from './config.ts';

const cellSchema = z.object({
  country: z.string(),
  api: z.url(),
  tokens: z.object({ client: z.string(), otherClient: z.string() }),
});

type DemoCell = z.output<typeof cellSchema>;

/** What a running demo writes about itself, as far as a browser needs it. */
const demoSchema = z.object({
  web: z.url(),
  cells: z.record(z.string(), cellSchema),
  logins: z.object({ client: z.object({ user: z.string(), password: z.string() }) }),
});

const pageConfigSchema = z.object({ issuer: z.url() });
const rowsSchema = z.object({ rows: z.array(z.object({ id: z.string() })) });

export interface DemoUnderTest extends AsyncDisposable {
  readonly web: string;
  readonly issuer: string;
  readonly cells: readonly { readonly country: string; readonly api: string }[];
  /** A building of the client in a country. */
  readonly building: (country: string) => string;
  /** A building that is there and belongs to another client. */
  readonly buildingOfOthers: string;
  readonly login: { readonly user: string; readonly password: string };
}

const root = join(import.meta.dirname, '../../..');
export const demoStartMsMax = 240_000;
const stopMsMax = 40_000;
const lookEveryMs = 500;
/** Of the three hours that the demo brings with it; the last ones may still be on their way. */
const windowsMin = 150;

/** The demo that `DEMO_FILE` names, else one of its own, with enough readings taken in to fill a chart. */
export async function demoUnderTest(): Promise<DemoUnderTest> {
  const named = readTestConfig().DEMO_FILE;
  const running = named === undefined ? await startDemo() : undefined;
  try {
    const file = running?.file ?? resolve(root, named ?? '');
    const described = await describe(file);
    return { ...described, [Symbol.asyncDispose]: async () => running?.stop() };
  } catch (error) {
    await running?.stop();
    throw error;
  }
}

async function describe(file: string): Promise<Omit<DemoUnderTest, keyof AsyncDisposable>> {
  const demo = demoSchema.parse(JSON.parse(await readFile(file, 'utf8')));
  const cells = Object.values(demo.cells);
  const page = await fetch(`${demo.web}/config.json`);
  const { issuer } = pageConfigSchema.parse(await page.json());
  const own = new Map<string, string>();
  for (const cell of cells) {
    const building = must((await buildingsOf(cell, 'client'))[0], 'the client has one there');
    own.set(cell.country, building);
    await waitForWindows(cell, building);
  }
  const others = await Promise.all(cells.map((cell) => buildingsOf(cell, 'otherClient')));
  return {
    web: demo.web,
    issuer,
    cells,
    building: (country) => must(own.get(country), 'the client has a building in each country'),
    buildingOfOthers: must(others.flat()[0], 'another client has a building'),
    login: demo.logins.client,
  };
}

async function buildingsOf(cell: DemoCell, role: keyof DemoCell['tokens']): Promise<string[]> {
  const { rows } = await ask(cell, '/v1/buildings', role);
  return rows.map(({ id }) => id);
}

async function waitForWindows(cell: DemoCell, building: string): Promise<void> {
  const until = Date.now() + demoStartMsMax;
  while (Date.now() < until) {
    const from = new Date(Date.now() - 3 * 3_600_000).toISOString();
    const to = new Date().toISOString();
    const point = { level: 'building', metric: 'temperature', interval: 'PT1M' };
    const query = new URLSearchParams({ from, to, ...point });
    const { rows } = await ask(cell, `/v1/buildings/${building}/summaries?${query}`, 'client');
    if (rows.length >= windowsMin) return;
    await sleep(lookEveryMs);
  }
  throw new Error(`Cannot see ${windowsMin} windows of ${building}`);
}

async function ask(cell: DemoCell, path: string, role: keyof DemoCell['tokens']) {
  const headers = { Authorization: `Bearer ${cell.tokens[role]}` };
  const response = await fetch(cell.api + path, { headers });
  return rowsSchema.parse(await response.json());
}

interface RunningDemo {
  readonly file: string;
  readonly stop: () => Promise<void>;
}

/** As `make demo` does it, in a folder of its own that is removed at the end. */
async function startDemo(): Promise<RunningDemo> {
  const dir = await mkdtemp(join(tmpdir(), 'domicile-web-'));
  const log = join(dir, 'demo.log');
  const output = openSync(log, 'a');
  const demo = spawn(process.execPath, ['platform/cell/src/main.ts'], {
    cwd: root,
    env: demoEnvironment(dir),
    stdio: ['ignore', output, output],
  });
  const stop = async () => {
    if (demo.exitCode === null && demo.signalCode === null) {
      demo.kill('SIGINT');
      const kill = setTimeout(() => demo.kill('SIGKILL'), stopMsMax);
      await once(demo, 'exit');
      clearTimeout(kill);
    }
    await rm(dir, { recursive: true, force: true });
  };
  const file = join(dir, 'demo.json');
  const until = Date.now() + demoStartMsMax;
  while (!existsSync(file)) {
    if (demo.exitCode !== null || demo.signalCode !== null || Date.now() > until) {
      const said = await readFile(log, 'utf8');
      await stop();
      throw new Error(`Cannot start the demo: ${said.slice(-2_000)}`);
    }
    await sleep(lookEveryMs);
  }
  return { file, stop };
}
