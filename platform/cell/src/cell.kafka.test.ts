import { mkdir, mkdtempDisposable, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isFreePort } from '@domicile/devkit/free-ports.ts';
import { expect, test } from 'vitest';
import { z } from 'zod';
import { Cell } from './cell.ts';
import { Supervisor } from './supervisor.ts';

test('a cell whose values cannot be read says so, and leaves nothing running', async () => {
  await using folder = await mkdtempDisposable(join(tmpdir(), 'cell-'));
  const dir = join(folder.path, 'de');
  const valuesFile = join(dir, 'values.yaml');
  await mkdir(valuesFile, { recursive: true });
  const supervisor = new Supervisor({ restarted: () => undefined });
  const failures: unknown[] = [];
  const starting = Cell.start(
    {
      country: 'DE',
      dir,
      valuesFile,
      partitions: 1,
      issuer: 'http://127.0.0.1:1',
      jwks: 'http://127.0.0.1:1/jwks',
      webOrigins: [],
      cells: new Map(),
      mqttPort: 0,
      brokers: 1,
      flushMs: { landing: 1_000, serving: 1_000 },
      onBuildings: () => Promise.resolve(),
      onValuesRefused: (error) => failures.push(error),
      onKafkaRestart: (outcome) => failures.push(outcome),
    },
    supervisor,
    (error) => failures.push(error),
  );
  await expect(starting).rejects.toMatchObject({ code: 'NOT_FOUND' });
  const identity = await readFile(join(dir, 'kafka/identity.json'), 'utf8');
  const { ports } = z.object({ ports: z.array(z.array(z.number())) }).parse(JSON.parse(identity));
  expect(await Promise.all(ports.flat().map(isFreePort))).not.toContain(false);
  expect(supervisor.names).toEqual([]);
  expect(failures).toEqual([]);
}, 120_000);
