import { PlatformError } from '@domicile/core/errors.ts';
import { expect, test } from 'vitest';
import { enrolmentSecretName, enrolmentShardOf } from '../../model/building/enrolment.ts';
import { buildingKind, cellKind, configMapKind, secretKind } from '../../model/kinds.ts';
import { buildingSpec, cellNamespace, decoded, testHouse } from './test-house.ts';
import { conditionsOf, type MemoryKube } from './test-kube.ts';

const done = { kind: 'done' };
const de7 = { name: 'de-7f3k', namespace: 'north' };
const secret = { name: 'de-7f3k-gateway', namespace: 'north' };

function enrolmentOf(kube: MemoryKube, building: string): unknown {
  const name = enrolmentSecretName(enrolmentShardOf(building));
  const text = decoded(kube, { name, namespace: cellNamespace })[`${building}.json`];
  return text === undefined ? undefined : JSON.parse(text);
}

test('a building becomes ready, and a second look writes nothing', async () => {
  const { kube, registry, declare, look } = testHouse();
  declare('de-7f3k');
  expect(await look('de-7f3k')).toEqual(done);
  const seen = kube.seen(buildingKind, de7);
  expect(conditionsOf(seen)).toEqual({
    Ready: 'True Onboarded',
    ResidencyVerified: 'True InCountry',
    Registered: 'True InRegistry',
    Enrolled: 'True CredentialsIssued',
  });
  expect(seen?.['status']).toMatchObject({
    cell: 'DE',
    devices: { expected: 3, text: '?/3' },
    credentials: { secret: 'de-7f3k-gateway' },
  });
  expect(seen?.metadata.finalizers).toEqual(['domicile.dev/building']);
  const made = decoded(kube, secret);
  expect(made).toMatchObject({ building: 'de-7f3k', 'ca.crt': 'PEM' });
  expect(registry.entry('de-7f3k')).toMatchObject({
    state: 'active',
    passwordHash: made['password-hash'],
  });
  expect(enrolmentOf(kube, 'de-7f3k')).toMatchObject({ building: 'de-7f3k', state: 'active' });

  const settled = kube.writes.length;
  expect(await look('de-7f3k')).toEqual(done);
  expect(kube.writes.length).toBe(settled);
  expect(registry.written.length).toBe(1);
});

test('a change of the spec goes to the registry, and a legal hold does not', async () => {
  const { registry, declare, look } = testHouse();
  declare('de-7f3k');
  await look('de-7f3k');
  declare('de-7f3k', 'north', { ...buildingSpec, legalHold: true });
  await look('de-7f3k');
  expect(registry.written.length).toBe(1);
  declare('de-7f3k', 'north', { ...buildingSpec, quotas: { messagesPerSecond: 7 } });
  await look('de-7f3k');
  expect(JSON.parse(registry.written[1]?.value ?? '')).toMatchObject({
    quotas: { messagesPerSecond: 7 },
  });
});

test('without a cell it waits and says so; a breached cell takes no more', async () => {
  const { kube, registry, declare, look } = testHouse();
  const cell = kube.seen(cellKind, { name: 'de' });
  kube.drop(cellKind, { name: 'de' });
  declare('de-7f3k');
  expect(await look('de-7f3k')).toMatchObject({ kind: 'again' });
  expect(conditionsOf(kube.seen(buildingKind, de7))).toMatchObject({
    Ready: 'False NoCell',
    ResidencyVerified: 'Unknown NoCell',
  });
  if (cell)
    kube.put(cellKind, {
      ...cell,
      status: { conditions: [{ type: 'ResidencyVerified', status: 'False' }] },
    });
  expect(await look('de-7f3k')).toEqual({ kind: 'refused', reason: 'CellNotInCountry' });
  expect(registry.written).toEqual([]);
});

test.each([
  ['us-4h8t', { ...buildingSpec, country: 'US' }, 'BuildingAbroad'],
  ['de-7f3k', { ...buildingSpec, country: 'US' }, 'BuildingAbroad'],
  ['de-7f3k', { ...buildingSpec, floors: 3 }, 'SpecInvalid'],
  ['de-7f3k', { ...buildingSpec, roomTypes: {} }, 'SpecInvalid'],
])('%s is refused, and nothing of it is written', async (name, spec, reason) => {
  const { kube, registry, declare, look } = testHouse();
  declare(name, 'north', spec);
  expect(await look(name)).toEqual({ kind: 'refused', reason });
  expect(kube.writes).toEqual([`status buildings ${name}`]);
  expect(registry.written).toEqual([]);
});

test('of two resources the older one has the building, and the other says why and follows', async () => {
  const { kube, registry, declare, look } = testHouse();
  declare('de-7f3k', 'south');
  declare('de-7f3k', 'north');
  expect(await look('de-7f3k', 'north')).toEqual({ kind: 'refused', reason: 'ClaimedElsewhere' });
  expect(await look('de-7f3k', 'south')).toEqual(done);
  expect(registry.entry('de-7f3k')?.claim?.namespace).toBe('south');
  expect(kube.seen(secretKind, secret)).toBeUndefined();

  kube.drop(buildingKind, { name: 'de-7f3k', namespace: 'south' });
  expect(await look('de-7f3k', 'north')).toEqual({ kind: 'refused', reason: 'ClaimedElsewhere' });
  expect(await look('de-7f3k', 'south')).toEqual(done);
  expect(await look('de-7f3k', 'north')).toEqual(done);
  expect(registry.entry('de-7f3k')).toMatchObject({
    state: 'active',
    claim: { namespace: 'north' },
  });
});

test('a younger one that was faster gives way', async () => {
  const { kube, registry, declare, look } = testHouse();
  declare('de-7f3k', 'south');
  const older = kube.seen(buildingKind, { name: 'de-7f3k', namespace: 'south' });
  kube.drop(buildingKind, { name: 'de-7f3k', namespace: 'south' });
  declare('de-7f3k', 'north');
  await look('de-7f3k', 'north');
  expect(registry.entry('de-7f3k')?.claim?.namespace).toBe('north');
  // It was there all the time, only not seen yet.
  if (older) kube.restore(buildingKind, older);
  expect(await look('de-7f3k', 'south')).toEqual(done);
  expect(registry.entry('de-7f3k')?.claim?.namespace).toBe('south');
  expect(await look('de-7f3k', 'north')).toEqual({ kind: 'refused', reason: 'ClaimedElsewhere' });
});

test('taken out it is refused to gateways and let go, and declared again it is taken up', async () => {
  const { kube, registry, declare, look } = testHouse();
  declare('de-7f3k');
  await look('de-7f3k');
  const before = decoded(kube, secret);
  kube.drop(buildingKind, de7);
  expect(kube.seen(buildingKind, de7)).toBeDefined();
  expect(await look('de-7f3k')).toEqual(done);
  expect(kube.seen(buildingKind, de7)).toBeUndefined();
  expect(registry.entry('de-7f3k')).toMatchObject({ state: 'offboarded', passwordHash: null });
  expect(enrolmentOf(kube, 'de-7f3k')).toMatchObject({ state: 'offboarded' });

  declare('de-7f3k');
  expect(await look('de-7f3k')).toEqual(done);
  expect(registry.entry('de-7f3k')).toMatchObject({ state: 'active' });
  expect(enrolmentOf(kube, 'de-7f3k')).toMatchObject({ state: 'active' });
  expect(decoded(kube, secret)).toEqual(before);
});

test.each(['Retain', 'Delete'])(
  'without a cell a building of %s is kept until its gateway can be refused',
  async (deletionPolicy) => {
    const { kube, registry, declare, look, reconciler } = testHouse();
    const cell = kube.seen(cellKind, { name: 'de' });
    declare('de-7f3k', 'north', { ...buildingSpec, deletionPolicy });
    await look('de-7f3k');
    kube.drop(cellKind, { name: 'de' });
    // Also one that is served is told that nobody serves it any more.
    expect(cell && reconciler.dependencies[0]?.ownersOf(cell, false)).toEqual([de7]);
    await look('de-7f3k');
    expect(conditionsOf(kube.seen(buildingKind, de7))).toMatchObject({ Ready: 'False NoCell' });
    kube.drop(buildingKind, de7);
    expect(await look('de-7f3k')).toEqual({ kind: 'again', afterMs: 60_000 });
    expect(kube.seen(buildingKind, de7)?.metadata.finalizers).toEqual(['domicile.dev/building']);
    expect(conditionsOf(kube.seen(buildingKind, de7))).toMatchObject({
      Ready: 'False BeingTakenOut',
      Erased: 'Unknown WaitsForTheCell',
    });
    expect(registry.entry('de-7f3k')).toMatchObject({ state: 'active' });
    const writes = kube.writes.length;
    await look('de-7f3k');
    expect(kube.writes.length).toBe(writes);
    if (cell) kube.restore(cellKind, cell);
    expect(cell && reconciler.dependencies[0]?.ownersOf(cell, false)).toEqual([de7]);
    await look('de-7f3k');
    expect(registry.entry('de-7f3k')).toMatchObject({ state: 'offboarded', passwordHash: null });
    expect(enrolmentOf(kube, 'de-7f3k')).toMatchObject({ state: 'offboarded' });
  },
);

test('a building is not taken up for another client', async () => {
  const { kube, declare, look } = testHouse();
  declare('de-7f3k');
  await look('de-7f3k');
  kube.drop(buildingKind, de7);
  await look('de-7f3k');
  declare('de-7f3k', 'north', { ...buildingSpec, client: 'other' });
  expect(await look('de-7f3k')).toEqual({ kind: 'refused', reason: 'ClientDiffers' });
  expect(conditionsOf(kube.seen(buildingKind, de7))).toMatchObject({
    Ready: 'False ClientDiffers',
  });
});

test('whose finalizer somebody took away is refused to gateways all the same', async () => {
  const { kube, registry, declare, look } = testHouse();
  declare('de-7f3k');
  await look('de-7f3k');
  kube.vanish(buildingKind, de7);
  expect(await look('de-7f3k')).toEqual(done);
  expect(registry.entry('de-7f3k')).toMatchObject({ state: 'offboarded' });
});

test('who declares it anew while its gateway is being refused is let in', async () => {
  const { kube, registry, declare, look } = testHouse();
  declare('de-7f3k');
  await look('de-7f3k');
  kube.vanish(buildingKind, de7);
  const publish = registry.publish.bind(registry);
  registry.publish = async (request) => {
    const published = await publish(request);
    if (request.record?.state !== 'offboarded') return published;
    declare('de-7f3k', 'south');
    await look('de-7f3k', 'south');
    return published;
  };
  expect(await look('de-7f3k')).toEqual(done);
  expect(registry.entry('de-7f3k')).toMatchObject({
    state: 'active',
    claim: { namespace: 'south' },
  });
  expect(enrolmentOf(kube, 'de-7f3k')).toMatchObject({ state: 'active' });
});

test('credentials are renewed when asked, and only once', async () => {
  const { kube, registry, declare, look } = testHouse();
  declare('de-7f3k');
  await look('de-7f3k');
  const first = decoded(kube, secret);
  const rotate = async (annotations: Record<string, string>) => {
    kube.annotate(buildingKind, de7, annotations);
    await look('de-7f3k');
    return decoded(kube, secret);
  };
  const second = await rotate({ 'domicile.dev/rotate-password': '1' });
  expect(second['password']).not.toBe(first['password']);
  expect(second['enrolment-token']).toBe(first['enrolment-token']);
  expect(registry.entry('de-7f3k')?.passwordHash).toBe(second['password-hash']);
  const third = await rotate({
    'domicile.dev/rotate-password': '1',
    'domicile.dev/rotate-enrolment-token': 'monday',
  });
  expect(third['password']).toBe(second['password']);
  expect(third['enrolment-token']).not.toBe(second['enrolment-token']);
  await look('de-7f3k');
  expect(decoded(kube, secret)).toEqual(third);
});

const good = 'Correct-Horse-Battery';

test('a Secret that is edited or deleted is mended; one of somebody else is left alone', async () => {
  const { kube, registry, declare, look } = testHouse();
  declare('de-7f3k');
  await look('de-7f3k');
  const own = kube.seen(secretKind, secret);
  if (own)
    kube.put(secretKind, { ...own, data: { password: Buffer.from(good).toString('base64') } });
  await look('de-7f3k');
  const mended = decoded(kube, secret);
  expect(mended['password']).toBe(good);
  expect(registry.entry('de-7f3k')?.passwordHash).toBe(mended['password-hash']);
  kube.drop(secretKind, secret);
  await look('de-7f3k');
  expect(decoded(kube, secret)['password']).not.toBe(good);

  const foreign = { apiVersion: 'v1', kind: 'Secret', data: {} };
  kube.put(secretKind, { ...foreign, metadata: { name: 'de-b-gateway', namespace: 'north' } });
  declare('de-b');
  expect(await look('de-b')).toMatchObject({ kind: 'failed' });
  expect(conditionsOf(kube.seen(buildingKind, { name: 'de-b', namespace: 'north' }))).toMatchObject(
    {
      Enrolled: 'False SecretTaken',
    },
  );
});

/** Writes these into the Secret, as somebody would with kubectl. */
function edit(kube: MemoryKube, texts: Readonly<Record<string, string | Buffer>>): void {
  const own = kube.seen(secretKind, secret);
  const data = Object.entries(texts).map(([key, text]) => [
    key,
    Buffer.from(text).toString('base64'),
  ]);
  if (own)
    kube.put(secretKind, {
      ...own,
      data: { ...asFields(own['data']), ...Object.fromEntries(data) },
    });
}

const asFields = (value: unknown) => (typeof value === 'object' && value !== null ? value : {});

test.each<[string, string | Buffer, RegExp]>([
  ['short', 'hunter2', /it has 7 characters, and 16 are the fewest/],
  ['long', 'ab-cd-ef-gh-ij-kl'.repeat(20), /it has 340 characters, and 256 are the most/],
  ['repeated', 'abc'.repeat(10), /it repeats 3 characters, and 8/],
  ['no text', Buffer.from('ff'.repeat(20), 'hex'), /something else than letters/],
  ['of two lines', 'Correct-Horse\nBattery-Staple', /something else than letters/],
])('a password that is %s is not taken, and the one before holds', async (_how, text, why) => {
  const { kube, registry, declare, look } = testHouse();
  declare('de-7f3k');
  await look('de-7f3k');
  const before = registry.entry('de-7f3k')?.passwordHash;
  edit(kube, { password: text });
  const writes = kube.writes.length;
  expect(await look('de-7f3k')).toEqual(done);
  expect(registry.entry('de-7f3k')?.passwordHash).toBe(before);
  expect(registry.written.length).toBe(1);
  expect(conditionsOf(kube.seen(buildingKind, de7))).toMatchObject({
    Ready: 'False CredentialsRefused',
    Enrolled: 'False CredentialsRefused',
  });
  const told = JSON.stringify(kube.seen(buildingKind, de7)?.['status']);
  expect(told).toMatch(why);
  expect(told).not.toContain('hunter2');
  // Only that is written, and only once.
  expect(kube.writes.slice(writes)).toEqual(['status buildings de-7f3k']);
  await look('de-7f3k');
  expect(kube.writes.length).toBe(writes + 1);
  edit(kube, { password: `${good}\n` });
  await look('de-7f3k');
  expect(registry.entry('de-7f3k')?.passwordHash).not.toBe(before);
  expect(conditionsOf(kube.seen(buildingKind, de7))).toMatchObject({ Ready: 'True Onboarded' });
});

test('a password that is taken out is made anew', async () => {
  const { kube, registry, declare, look } = testHouse();
  declare('de-7f3k');
  await look('de-7f3k');
  edit(kube, { password: '' });
  await look('de-7f3k');
  const made = decoded(kube, secret);
  expect(made['password']?.length).toBe(24);
  expect(registry.entry('de-7f3k')?.passwordHash).toBe(made['password-hash']);
  expect(conditionsOf(kube.seen(buildingKind, de7))).toMatchObject({ Ready: 'True Onboarded' });
});

test('what is another building’s is not taken, and that one notices nothing', async () => {
  const { kube, registry, declare, look } = testHouse();
  declare('de-7f3k');
  declare('de-b');
  await look('de-7f3k');
  await look('de-b');
  const of = { name: 'de-b-gateway', namespace: 'north' };
  const { password = '' } = decoded(kube, of);
  const before = registry.entry('de-b')?.passwordHash;
  edit(kube, { password });
  for (const name of ['de-7f3k', 'de-b', 'de-7f3k']) await look(name);
  expect(conditionsOf(kube.seen(buildingKind, de7))).toMatchObject({
    Ready: 'False CredentialsRefused',
  });
  expect(JSON.stringify(kube.seen(buildingKind, de7))).toContain(
    'the Secret de-b-gateway has the same',
  );
  expect(conditionsOf(kube.seen(buildingKind, { name: 'de-b', namespace: 'north' }))).toMatchObject(
    {
      Ready: 'True Onboarded',
    },
  );
  expect(registry.entry('de-b')?.passwordHash).toBe(before);
  edit(kube, { password: decoded(kube, secret)['enrolment-token'] ?? '' });
  await look('de-7f3k');
  expect(JSON.stringify(kube.seen(buildingKind, de7))).toContain('it is the enrolment-token too');

  const { 'enrolment-token': token = '' } = decoded(kube, of);
  edit(kube, { password: good, 'enrolment-token': token });
  const enrolled = enrolmentOf(kube, 'de-b');
  for (const name of ['de-7f3k', 'de-b']) await look(name);
  expect(enrolmentOf(kube, 'de-b')).toEqual(enrolled);
  expect(enrolmentOf(kube, 'de-7f3k')).toMatchObject({ tokenSha256: '0'.repeat(64) });
});

test('by a token that is not fit nobody enrols, and by a hash of another cost nobody comes in', async () => {
  const { kube, registry, declare, look } = testHouse();
  declare('de-7f3k');
  await look('de-7f3k');
  edit(kube, { 'enrolment-token': 'guess' });
  await look('de-7f3k');
  expect(enrolmentOf(kube, 'de-7f3k')).toMatchObject({
    state: 'active',
    tokenSha256: '0'.repeat(64),
  });
  expect(conditionsOf(kube.seen(buildingKind, de7))).toMatchObject({
    Ready: 'False CredentialsRefused',
  });
  const cheap = 'scrypt$2$1$1$AAAA$AAAA';
  edit(kube, { 'password-hash': cheap, 'enrolment-token': `${good}-1` });
  await look('de-7f3k');
  expect(registry.entry('de-7f3k')?.passwordHash).toMatch(/^scrypt\$4096\$8\$1\$/);
  expect(conditionsOf(kube.seen(buildingKind, de7))).toMatchObject({ Ready: 'True Onboarded' });
});

test('bytes that somebody keeps beside the credentials stay as they are', async () => {
  const { kube, declare, look } = testHouse();
  declare('de-7f3k');
  await look('de-7f3k');
  const bytes = Buffer.from('00ff80c1', 'hex');
  edit(kube, { keystore: bytes, password: '' });
  await look('de-7f3k');
  expect(kube.seen(secretKind, secret)?.['data']).toMatchObject({
    keystore: bytes.toString('base64'),
  });
});

test('it is not ready before its gateway can know the cell', async () => {
  const { kube, declare, look } = testHouse();
  const ref = { name: 'cell-authority', namespace: cellNamespace };
  const authority = kube.seen(configMapKind, ref);
  kube.drop(configMapKind, ref);
  declare('de-7f3k');
  expect(await look('de-7f3k')).toEqual({ kind: 'again', afterMs: 2000 });
  expect(conditionsOf(kube.seen(buildingKind, de7))).toMatchObject({
    Ready: 'False WaitsForTheCell',
    Registered: 'True InRegistry',
  });
  if (authority) kube.put(configMapKind, authority);
  expect(await look('de-7f3k')).toEqual(done);
  expect(decoded(kube, secret)['ca.crt']).toBe('PEM');
  expect(conditionsOf(kube.seen(buildingKind, de7))).toMatchObject({ Ready: 'True Onboarded' });
});

test('what fails is said under its concern, and heals', async () => {
  const { kube, registry, declare, look } = testHouse();
  declare('de-7f3k');
  registry.failing = new PlatformError('UPSTREAM_UNAVAILABLE', 'Cannot write: Kafka is away');
  expect(await look('de-7f3k')).toMatchObject({ kind: 'failed' });
  expect(conditionsOf(kube.seen(buildingKind, de7))).toMatchObject({
    Ready: 'False KafkaUnavailable',
    Registered: 'Unknown KafkaUnavailable',
  });
  registry.failing = undefined;
  kube.vanish(secretKind, secret);
  kube.refuse = ({ kind }, { name }) => {
    if (kind === 'Secret' && name.endsWith('-gateway'))
      throw new PlatformError('FORBIDDEN', 'Cannot write');
  };
  expect(await look('de-7f3k')).toMatchObject({ kind: 'failed' });
  expect(conditionsOf(kube.seen(buildingKind, de7))).toMatchObject({
    Registered: 'Unknown NotLookedAt',
    Enrolled: 'False NamespaceNotAllowed',
  });
  kube.refuse = () => undefined;
  expect(await look('de-7f3k')).toEqual(done);
  expect(conditionsOf(kube.seen(buildingKind, de7))).toMatchObject({ Ready: 'True Onboarded' });
});

test('whoever was overtaken says nothing', async () => {
  const { kube, registry, declare, look } = testHouse();
  declare('de-7f3k');
  registry.failing = new PlatformError('FENCED', 'Cannot write: another process does it');
  await expect(look('de-7f3k')).rejects.toMatchObject({ code: 'FENCED' });
  expect(conditionsOf(kube.seen(buildingKind, de7))).toEqual({});
});

test('whose turn it is when something changes', async () => {
  const { kube, reconciler, declare, look } = testHouse();
  declare('de-7f3k');
  declare('de-b');
  await look('de-7f3k');
  const [cell, ownSecret, shard, rival] = reconciler.dependencies;
  const cellObject = kube.seen(cellKind, { name: 'de' });
  const secretObject = kube.seen(secretKind, secret);
  const name = enrolmentSecretName(enrolmentShardOf('de-7f3k'));
  const shardObject = kube.seen(secretKind, { name, namespace: cellNamespace });
  if (!cellObject || !secretObject || !shardObject) throw new Error('something is missing');
  expect(cell?.ownersOf(cellObject, false)).toEqual([{ name: 'de-b', namespace: 'north' }]);
  expect(ownSecret?.ownersOf(secretObject, false)).toEqual([de7]);
  expect(shard?.ownersOf(shardObject, false)).toEqual([]);
  expect(shard?.ownersOf({ ...shardObject, data: {} }, false)).toEqual([de7]);
  // The loop of cells watches that Secret, too: what is known of it there may be older.
  expect(shard?.ownersOf(shardObject, true)).toEqual([de7]);
  const twin = declare('de-7f3k', 'south');
  expect(rival?.ownersOf(twin, false)).toEqual([de7]);
});
