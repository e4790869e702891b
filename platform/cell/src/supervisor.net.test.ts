import { mkdtempDisposable, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '@domicile/devkit/free-ports.ts';
import { expect, test } from 'vitest';
import { type ProcessSpec, Supervisor } from './supervisor.ts';

const readyTimeoutMs = 30_000;
const patience = { timeout: 30_000 };
/** So that a test need not wait for half a minute; a start may take its time. */
const liveness = { everyMs: 500, answerTimeoutMs: 2_000, missedMax: 3, missedAtStartMax: 100 };

/** The origin of the web app: a real process that needs nothing else. */
async function webIn(folder: string): Promise<ProcessSpec> {
  await writeFile(join(folder, 'index.html'), '<!doctype html>');
  const api = 'http://127.0.0.1:1';
  const cell = { country: 'DE', name: 'Germany', api, audience: 'domicile:de' };
  const page = { issuer: api, clientId: 'domicile-web', cells: [cell] };
  await writeFile(join(folder, 'config.json'), JSON.stringify(page));
  const adminPort = await freePort();
  return {
    name: 'web',
    entry: 'platform/api-gateway/src/web-main.ts',
    env: {
      WEB_PORT: '0',
      WEB_ADMIN_PORT: `${adminPort}`,
      WEB_FILES: folder,
      WEB_CONFIG_FILE: join(folder, 'config.json'),
    },
    logFile: join(folder, 'web.log'),
    adminPort,
  };
}

test('a process that hangs is ended and started anew, as one that dies is, and each is told', async () => {
  await using folder = await mkdtempDisposable(join(tmpdir(), 'supervisor-'));
  const told: string[] = [];
  const restarted = (name: string, outcome: string) => void told.push(`${name}: ${outcome}`);
  const supervisor = new Supervisor({ restarted }, liveness);
  const spec = await webIn(folder.path);
  await supervisor.start(spec);
  try {
    await supervisor.ready('web', readyTimeoutMs);
    const first = supervisor.pid('web');
    supervisor.kill('web', 'SIGSTOP');
    await expect.poll(() => told, patience).toEqual(['web: no answer to 3 checks in a row']);
    await expect.poll(() => supervisor.pid('web'), patience).not.toBe(first);
    await supervisor.ready('web', readyTimeoutMs);

    supervisor.kill('web', 'SIGKILL');
    await expect.poll(() => told, patience).toHaveLength(2);
    expect(told[1]).toBe('web: SIGKILL');
    await expect.poll(() => supervisor.starts('web'), patience).toBe(3);
    await supervisor.ready('web', readyTimeoutMs);
  } finally {
    await supervisor.stop('web', readyTimeoutMs);
  }
  expect(told).toHaveLength(2);
}, 120_000);
