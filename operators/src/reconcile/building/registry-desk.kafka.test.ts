import type { BuildingRecord } from '@domicile/core/building.ts';
import { PlatformError } from '@domicile/core/errors.ts';
import { parseCountryCode } from '@domicile/core/identities.ts';
import { headers } from '@domicile/core/streams.ts';
import { recordOfSpec } from '@domicile/core/values.ts';
import { CellKafka } from '@domicile/devkit/cell-kafka.ts';
import { freshName } from '@domicile/devkit/fresh-name.ts';
import { readTopic } from '@domicile/devkit/kafka-reading.ts';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Claim } from '../../model/building/claim.ts';
import { RegistryDesk } from './registry-desk.ts';
import { buildingSpec } from './test-house.ts';

const country = parseCountryCode('DE');
let kafka: CellKafka;

beforeAll(async () => {
  kafka = await CellKafka.start({ country });
});
afterAll(async () => {
  await kafka.cluster.stop();
});

function claimOf(uid: string, generation = 1): Claim {
  return { namespace: 'north', uid, generation, createdAtMs: 1000 };
}

function recordOf(building: string, fields: Partial<BuildingRecord> = {}): BuildingRecord {
  return { ...recordOfSpec(building, buildingSpec, country), ...fields };
}

/** By the operator's own rights, which suffice. */
function opened(): Promise<RegistryDesk> {
  return RegistryDesk.open({
    client: kafka.client('operator'),
    country,
    assertLeading: () => undefined,
  });
}

async function recordsOf(building: string) {
  const all = await readTopic(kafka.admin(), 'de.registry.v1');
  return all.filter(({ key }) => key?.toString() === building);
}

test('a record is written once, read back after a restart, and taken out', async () => {
  const building = freshName('de');
  const claim = claimOf('uid-1');
  const request = { building, claim, record: recordOf(building) };
  {
    await using desk = await opened();
    const first = await desk.publish(request);
    expect(first.kind).toBe('written');
    expect(await desk.publish(request)).toEqual({ ...first, kind: 'same' });
  }
  await using desk = await opened();
  expect(desk.entry(building)).toMatchObject({ state: 'active', client: 'acme', claim });
  expect((await desk.publish(request)).kind).toBe('same');
  expect((await desk.publish({ ...request, record: null })).kind).toBe('written');
  expect(desk.entry(building)).toBeUndefined();
  const [written, tombstone, ...more] = await recordsOf(building);
  expect(JSON.parse(String(written?.value))).toEqual(recordOf(building));
  expect(written?.headers.get(headers.schema)).toBe('registry/1');
  expect(tombstone?.value).toBeNull();
  expect(more).toEqual([]);
});

test('since when a building is refused stays told, though its record is written again', async () => {
  const building = freshName('de');
  const request = { building, claim: claimOf('uid-1'), record: recordOf(building) };
  const out = recordOf(building, { state: 'offboarded' });
  let sinceMs = 0;
  {
    await using desk = await opened();
    await desk.publish(request);
    await desk.publish({ ...request, record: out });
    sinceMs = desk.entry(building)?.sinceMs ?? 0;
    expect(Math.abs(Date.now() - sinceMs)).toBeLessThan(60_000);
    await new Promise((resolve) => setTimeout(resolve, 50));
    await desk.publish({ ...request, record: { ...out, erased: true }, sinceMs });
    expect(desk.entry(building)).toMatchObject({ sinceMs });
  }
  await using desk = await opened();
  expect(desk.entry(building)).toMatchObject({ state: 'offboarded', sinceMs });
});

test('whoever opened it before is fenced, and changes nothing', async () => {
  const building = freshName('de');
  await using paused = await opened();
  await paused.publish({ building, claim: claimOf('uid-1', 1), record: recordOf(building) });
  await using desk = await opened();
  const newer = recordOf(building, { name: 'by the one that leads' });
  await desk.publish({ building, claim: claimOf('uid-1', 2), record: newer });
  const stale = recordOf(building, { name: 'by the one that was paused' });
  const late = { building, claim: claimOf('uid-1', 3), record: stale };
  await expect(paused.publish(late)).rejects.toMatchObject({ code: 'FENCED' });
  expect(paused.isBroken).toBe(true);
  await expect(paused.publish(late)).rejects.toMatchObject({ code: 'FENCED' });
  expect((await recordsOf(building)).length).toBe(2);
  // The one that leads goes on.
  expect((await desk.publish({ ...late, record: newer })).kind).toBe('same');
});

test('who reads an older state of the resource changes nothing, even if it opens anew', async () => {
  const building = freshName('de');
  {
    await using desk = await opened();
    await desk.publish({ building, claim: claimOf('uid-1', 5), record: recordOf(building) });
  }
  await using late = await opened();
  const older = { building, claim: claimOf('uid-1', 4), record: recordOf(building, { name: 'x' }) };
  expect(await late.publish(older)).toEqual({ kind: 'stale' });
  expect((await recordsOf(building)).length).toBe(1);
});

test('a thousand go out together', async () => {
  await using desk = await opened();
  const buildings = Array.from({ length: 1000 }, () => freshName('de'));
  const beganAt = performance.now();
  const published = await Promise.all(
    buildings.map((building) =>
      desk.publish({ building, claim: claimOf(building), record: recordOf(building) }),
    ),
  );
  expect(published.every(({ kind }) => kind === 'written')).toBe(true);
  // A round trip for each takes longer on any machine.
  expect(performance.now() - beganAt).toBeLessThan(20_000);
  const entry = desk.entry(buildings[500] ?? '');
  expect(entry?.claim?.uid).toBe(buildings[500]);
});

test('a leader that may have lost its place writes nothing', async () => {
  let leads = true;
  const building = freshName('de');
  await using desk = await RegistryDesk.open({
    client: kafka.client('operator'),
    country,
    assertLeading: () => {
      if (!leads) throw new PlatformError('FENCED', 'not leading');
    },
  });
  leads = false;
  const request = { building, claim: claimOf('uid-1'), record: recordOf(building) };
  await expect(desk.publish(request)).rejects.toMatchObject({ code: 'FENCED' });
  expect(await recordsOf(building)).toEqual([]);
});
