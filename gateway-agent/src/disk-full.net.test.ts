import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { z } from 'zod';
import { addressesFile } from './addresses.ts';
import { configText, testAgent, testDirectory, until } from './test-agent.ts';
import { TestCell } from './test-cell.ts';

const fileKilobytesMax = 200;

/** An agent whose files may not grow beyond a limit: its last write is cut short, as on a full disk. */
async function limitedAgent(directory: string) {
  const script = `trap '' XFSZ; ulimit -f ${fileKilobytesMax}; exec "$0" "$1"`;
  const child = spawn(
    'bash',
    ['-c', script, process.execPath, join(import.meta.dirname, 'main.ts')],
    {
      env: { GATEWAY_CONFIG: join(directory, 'gateway.yaml'), PATH: '/usr/bin:/bin' },
      stdio: ['ignore', 'ignore', 'inherit'],
    },
  );
  const path = join(directory, 'data', addressesFile);
  let text = '';
  while (text === '' && child.exitCode === null) {
    text = await readFile(path, 'utf8').catch(() => '');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  const { http } = z.object({ http: z.number() }).parse(JSON.parse(text));
  return {
    http,
    kill: async () => {
      const exited = once(child, 'exit');
      child.kill('SIGKILL');
      await exited;
    },
  };
}

test('a write that the disk takes only in part is refused, and what was acked is all there', async () => {
  await using cell = await TestCell.start();
  await cell.close();
  await using directory = await testDirectory();
  await mkdir(join(directory.path, 'data'));
  const text = configText(cell.url, { drivers: { http: { port: 0, requestsPerSecondMax: 1000 } } });
  await writeFile(join(directory.path, 'gateway.yaml'), text);
  const limited = await limitedAgent(directory.path);
  const statuses: number[] = [];
  const acked: number[] = [];
  for (let n = 0; n < 60; n += 1) {
    const pad = 'x'.repeat(997 + n * 131);
    const answer = await fetch(`http://127.0.0.1:${limited.http}/v1/devices/r101-air/telemetry`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ values: { n }, pad }),
    });
    statuses.push(answer.status);
    if (answer.ok) acked.push(n);
  }
  await limited.kill();
  expect(new Set(statuses)).toEqual(new Set([200, 507]));
  await cell.open();
  await using agent = await testAgent(directory.path, text);
  await until(() => agent.store.unsent.length === 0);
  const readings = cell.readings();
  expect(readings.map(({ values }) => values['n'])).toEqual(acked);
  expect(readings.map(({ seq }) => seq)).toEqual(acked.map((_, seq) => seq));
});
