import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseCellSpec } from '@domicile/core/resources/cell.ts';
import { waitFor } from '@domicile/devkit/wait-for.ts';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parse } from 'yaml';
import { baseEnvironment } from './config.ts';
import { holderOf, placesOf } from './kube-places.ts';
import { type UpFile, upSchema } from './kube-values.ts';

/** A country that nobody is likely to have up. */
const country = 'fi';
const places = placesOf(country);

interface Outcome {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

function run(file: string, parameters: readonly string[], more = {}): Promise<Outcome> {
  return new Promise((resolve) => {
    const env = { ...baseEnvironment(), ...more };
    execFile(file, parameters, { env }, (error, stdout, stderr) =>
      resolve({ status: Number(error?.code ?? 0), stdout, stderr }),
    );
  });
}

function make(what: 'up' | 'down'): Promise<Outcome> {
  const file = join(import.meta.dirname, `kube-${what}.ts`);
  return run(process.execPath, [file], { COUNTRY: country, KUBE_BROKERS: '1' });
}

let started: Outcome;
let up: UpFile;
beforeAll(async () => {
  await make('down');
  started = await make('up');
  if (started.status !== 0) throw new Error(started.stdout + started.stderr);
  up = upSchema.parse(JSON.parse(readFileSync(join(places.dir, 'up.json'), 'utf8')));
});
afterAll(async () => {
  await make('down');
});

function kubectl(...parameters: string[]): Promise<Outcome> {
  return run(up.kubectl, ['--kubeconfig', up.kubeconfig, ...parameters]);
}

test('it goes on after the command has ended, with nodes at home and one abroad', async () => {
  expect(started.stdout).toContain('The cluster of FI is up');
  const columns = String.raw`-o=jsonpath={range .items[*]}{.metadata.labels.topology\.kubernetes\.io/region}{"\n"}{end}`;
  const { stdout } = await kubectl('get', 'nodes', columns);
  expect(new Set(stdout.trim().split('\n'))).toEqual(new Set(['europe-north1', 'us-central1']));
});

test('the credentials of what is there are Secrets, and values say where it is', async () => {
  const { stdout } = await kubectl('get', 'secrets', '-n', 'domicile-system', '-o', 'name');
  expect(stdout.trim().split('\n').toSorted()).toEqual([
    'secret/kafka-admin',
    'secret/lake-admin',
    'secret/lake-eraser',
    'secret/lake-raw-reader',
    'secret/lake-serving-reader',
    'secret/lake-writer',
  ]);
  const { name: _name, ...spec } = Object(parse(readFileSync(up.values.cell, 'utf8')));
  expect(parseCellSpec(spec)).toMatchObject({ country: 'FI', kafka: { bootstrap: up.kafka } });
});

test('there is one of a country at a time', async () => {
  const again = await make('up');
  expect(again.status).toBe(1);
  expect(again.stderr).toContain('is up already, as process');
});

test('it ends, also when what held it was killed, and leaves nothing running', async () => {
  const holder = holderOf(places);
  expect(holder).toBeDefined();
  if (holder !== undefined) process.kill(holder, 'SIGKILL');
  const servers = () => run('pgrep', ['-f', join(places.dir, 'control-plane')]);
  await waitFor('that its processes are gone', async () => (await servers()).stdout === '');
  expect((await make('down')).stdout).toContain('No cluster of FI is up');
  expect((await make('up')).status).toBe(0);
  expect((await make('down')).stdout).toBe('The cluster of FI has ended.\n');
  expect((await servers()).stdout).toBe('');
});
