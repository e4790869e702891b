import { fail } from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { GcsEmulator } from '@domicile/devkit/gcs/gcs-emulator.ts';
import { plainBucket } from '@domicile/devkit/plain-bucket.ts';
import { askPython } from '@domicile/devkit/python-oracle.ts';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { identityOf, openBucketAdmin } from './admin/open-bucket-admin.ts';
import { parsePointer, summaryFolder } from './model/summary-manifest.ts';
import { openLake } from './open-lake.ts';
import { SummarySnapshots } from './serving-summaries.ts';
import { SummaryPruning } from './summary-pruning.ts';
import { SummaryWriter } from './summary-writer.ts';
import { flushMinutes } from './test-minutes.ts';

const program = fileURLToPath(new URL('pruning-writer.ts', import.meta.url));
/** Readers of Parquet are fetched from a registry once. */
const installTimeoutMs = 400_000;
let root = '';
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'pruning-'));
});
afterAll(async () => rm(root, { recursive: true }));

/** As docs/api/lake.md tells a stranger: by the pointer and its snapshot, and once more from the pointer where a file has gone. */
const readByPointer = `
import sys, json, os, glob, pyarrow.parquet as pq
root = sys.argv[1]
folder = root + '/serving/summaries/pt1m/v1/'
def load(path):
    with open(path) as file: return json.load(file)
def answer(snapshot):
    newest = {}
    for file in snapshot['files']['PT1M']:
        for row in pq.read_table(root + '/' + file['key'], columns=['window_start', 'version', 'count', 'sum']).to_pylist():
            held = newest.get(row['window_start'])
            if held is None or row['version'] > held['version']: newest[row['window_start']] = row
    return {'minutes': int(snapshot['offsets']['0']), 'rows': len(newest),
        'count': sum(row['count'] for row in newest.values()), 'sum': sum(row['sum'] for row in newest.values())}
def newest():
    return load(root + '/' + load(folder + 'latest.json')['snapshot'])
held, again = (load(sys.argv[2]) if len(sys.argv) > 2 else None), 0
while True:
    try:
        told = answer(held or newest())
        break
    except FileNotFoundError:
        held, again = None, again + 1
        if again > 100: raise
torn = []
for path in glob.glob(folder + 'snapshots/*.json') if len(sys.argv) < 3 else []:
    for files in load(path)['files'].values():
        torn += [file['key'] for file in files if not os.path.exists(root + '/' + file['key'])]
print(json.dumps({**told, 'again': again, 'torn': torn, 'snapshots': len(os.listdir(folder + 'snapshots'))}))
`;
const toldSchema = z.object({
  minutes: z.number(),
  rows: z.number(),
  count: z.number(),
  sum: z.number(),
  /** How often it had to begin anew. */
  again: z.number(),
  torn: z.array(z.string()),
  snapshots: z.number(),
});

async function read(...held: string[]) {
  return toldSchema.parse(await askPython(readByPointer, root, ...held));
}

/** Minute n holds n. */
function wanted(minutes: number) {
  return { minutes, rows: minutes, count: minutes, sum: (minutes * (minutes - 1)) / 2 };
}

/** Runs the writer and kills it amid its prunings, when it has removed so many objects. Gives up to where it had flushed. */
async function writeAndKill(removals: number): Promise<number> {
  // It ends with this process, whatever becomes of that.
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', process.execPath, program, root], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const closed = once(child, 'close');
  let removed = 0;
  let minutes = 0;
  for await (const line of createInterface({ input: child.stdout })) {
    const [, flushed] = /^flushed (\d+)$/.exec(line) ?? [];
    if (flushed !== undefined) minutes = Number(flushed);
    else if ((removed += 1) === removals) child.kill('SIGKILL');
  }
  await closed;
  expect(removed).toBeGreaterThanOrEqual(removals);
  return minutes;
}

test(
  'killed at any instant of the pruning: a stranger reads all that was promised, and the store does not grow',
  async () => {
    const held = join(root, 'held.json');
    for (let round = 0; round < 5; round += 1) {
      const minutes = await writeAndKill(30 + Math.floor(Math.random() * 400));
      const found = await read();
      expect(found.minutes).toBeGreaterThanOrEqual(minutes);
      expect(found).toMatchObject({ ...wanted(found.minutes), torn: [], again: 0 });
      // Those of a few prunings, however many there were.
      expect(found.snapshots).toBeLessThan(100);
      if (round > 0) continue;
      const newest = `${summaryFolder('PT1M')}latest.json`;
      const { snapshot } = parsePointer(await readFile(join(root, newest)));
      await copyFile(join(root, snapshot), held);
    }
    // Whoever still holds the manifest of the first round is led to the newest one by a file that has gone.
    const found = await read();
    expect(await read(held)).toMatchObject({ ...wanted(found.minutes), again: 1 });
  },
  installTimeoutMs,
);

test('in a bucket who may not remove is told so, without an outage, and who may prunes', async () => {
  await using gcs = await GcsEmulator.start({
    identities: ['admin', 'writer', 'pruner'],
    admins: ['admin'],
  });
  const folder = join(root, 'keys');
  await gcs.writeKeys(folder);
  const keyOf = (name: string) => ({ 'credentials.json': gcs.keyOf(name) });
  const place = { store: 'gcs', endpoint: gcs.url } as const;
  const [region, bucket] = ['europe-west3', 'serving-de'];
  const admin = await openBucketAdmin({ ...place, region, secret: keyOf('admin') });
  const granted = (name: string, right: 'write' | 'prune') => ({
    identity: identityOf('gcs', keyOf(name)) ?? fail(name),
    right,
  });
  await admin.create(bucket, {
    ...plainBucket,
    location: region,
    grants: [granted('writer', 'write'), granted('pruner', 'prune')],
  });
  const openAs = (name: string) =>
    openLake(
      { ...place, servingBucket: bucket, credentialsFile: join(folder, `${name}.json`) },
      'upkeep',
    );
  const writing = await openAs('writer');
  const writer = await SummaryWriter.open(writing.store);
  for (let minute = 0; minute < 2; minute += 1) await flushMinutes(writer, minute, minute + 1);
  const held = await SummarySnapshots.open(writing.store);
  const prunedAs = async (name: string) => {
    const lake = await openAs(name);
    const pruning = new SummaryPruning({ store: lake.store, graceMs: 0 });
    const told = await pruning.round(writer.published).catch((error: unknown) => error);
    expect(lake.outages()).toEqual([]);
    return told;
  };
  const live = gcs.buckets.get(bucket)?.live ?? fail('no bucket');
  const before = [...live.keys()];
  expect(await prunedAs('writer')).toMatchObject({ code: 'FORBIDDEN' });
  expect([...live.keys()]).toEqual(before);
  for (let minute = 2; minute < 10; minute += 1) await flushMinutes(writer, minute, minute + 1);
  expect(await prunedAs('pruner')).toMatchObject({ snapshots: 4 * 9, isDone: true });
  const { rows } = await held.current.read({
    interval: 'PT1M',
    building: 'de-a',
    fromMs: 0,
    toMs: Date.UTC(2027, 0),
  });
  expect(rows).toHaveLength(10);
});
