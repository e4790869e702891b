import { mkdir, mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseBuildingId } from '@domicile/core/identities.ts';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readEnrolment, tokenHash } from './enrolment-files.ts';

let directory: string;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'enrolments-'));
});
afterAll(async () => {
  await rm(directory, { recursive: true, force: true });
});

const building = parseBuildingId('de-7f3k');

/** What a kubelet does to a volume of a Secret: a new hidden folder, and one link that is swapped. */
async function publish(volume: string, version: string, files: Readonly<Record<string, string>>) {
  await mkdir(join(volume, `..${version}`), { recursive: true });
  for (const [name, content] of Object.entries(files)) {
    await writeFile(join(volume, `..${version}`, name), content, { mode: 0o400 });
    await symlink(join('..data', name), join(volume, name)).catch(() => undefined);
  }
  await symlink(`..${version}`, join(volume, '..data_tmp'));
  await rename(join(volume, '..data_tmp'), join(volume, '..data'));
}

function fileOf(state: string, token: string): string {
  // With what other writers note beside.
  return JSON.stringify({ building, state, tokenSha256: tokenHash(token), claim: 'north uid 1 2' });
}

test('an enrolment is found in volumes of Secrets, and followed as they are renewed', async () => {
  expect(await readEnrolment(join(directory, 'nowhere'), building)).toBeUndefined();
  await publish(join(directory, '0'), 'v1', {});
  await publish(join(directory, '3'), 'v1', { 'de-7f3k.json': fileOf('active', 'one') });
  expect(await readEnrolment(directory, building)).toEqual({
    building,
    state: 'active',
    tokenSha256: tokenHash('one'),
  });
  expect(await readEnrolment(directory, parseBuildingId('de-b'))).toBeUndefined();
  await publish(join(directory, '3'), 'v2', { 'de-7f3k.json': fileOf('offboarded', 'one') });
  expect(await readEnrolment(directory, building)).toMatchObject({ state: 'offboarded' });
  await rm(join(directory, '3', 'de-7f3k.json'));
  expect(await readEnrolment(directory, building)).toBeUndefined();
});
