import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { must } from '@domicile/core/invariants.ts';
import type { Scope } from '@domicile/runtime/claims.ts';
import { connect, connectAsync, type IClientOptions, type MqttClient } from 'mqtt';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ask, until } from './support/api.ts';
import { decodedKafka } from './support/decoded-kafka.ts';
import { queryLanding } from './support/independent-lake.ts';
import { TestDemo } from './support/test-demo.ts';

// Promise 3. Canaries in everything that a country is told are searched for in all that the other country and the issuer
// hold or say: raw bytes, records, Parquet, logs, metrics, answers and events. The same search finds each at home.

const building = 'us-canary7';
const canaries = {
  building,
  client: 'canaryclient7',
  name: 'Canary Tower 7',
  floor: 'canaryfloor7',
  room: 'canaryroom7',
  device: 'canaryroom7-canarydevice7',
  deviceType: 'canarytype7',
  metric: 'canary_metric_7',
  text: 'canary text 7',
  number: '77123.4567891',
  boot: 'canary-boot-7',
  seq: '7712345678',
  mqttClient: 'canary-mqtt-client-7',
  quarantined: 'canary-quarantined-7',
  unknownDevice: 'canarystranger7',
  unknownField: 'canary-unknown-field-7',
  statusAt: '2031-07-07T07:07:07.777Z',
  idempotencyKey: 'canary-idempotency-7',
  command: 'canary command 7',
};
const foreign = 'us-foreigner7';

const values = `
deviceTypes:
  ${canaries.deviceType}:
    metrics:
      ${canaries.metric}: { unit: "1", min: 0, max: 1000000 }
      canary_mode: { kind: text, settable: true }
roomTypes:
  canary-room: { canarydevice7: ${canaries.deviceType} }
buildings:
  ${building}:
    client: ${canaries.client}
    name: ${canaries.name}
    timeZone: America/Chicago
    floors: { "${canaries.floor}": { rooms: { ${canaries.room}: canary-room } } }
`;

let world: TestDemo;
let session: MqttClient;
beforeAll(async () => {
  world = await TestDemo.start();
  const file = (await world.cell('us')).values;
  writeFileSync(join(import.meta.dirname, '..', file), values);
  const { mqtt, mqttUsers } = await until('the building', () => world.cell('us'), {
    fits: ({ buildings }) => buildings.includes(building),
  });
  const password = mqttUsers[building] ?? '';
  const options = { username: building, password, clientId: canaries.mqttClient };
  // Each service learns of a building that is declared when it comes to it in the registry.
  session = await until('the broker to know it', () => connectAsync(mqtt, options), {
    fits: ({ connected }) => connected,
  });
  // A session that is ended for what it does is no error of this test.
  session.on('error', () => {});
  await speak(session);
  await sendCommand();
  await tryAbroad();
  await until('the canaries to have landed', () => landed('us'), {
    fits: (rows) => rows.length > 0,
  });
});
afterAll(async () => {
  await session.endAsync();
  await world[Symbol.asyncDispose]();
});

/** `further`: how far its numbers lie behind the canary. */
async function speak(client: MqttClient, further = 0): Promise<void> {
  const topic = (device: string, kind: string) => `v1/${building}/${device}/${kind}`;
  const reading = {
    boot: canaries.boot,
    seq: Number(canaries.seq) + further,
    at: Date.now(),
    values: { [canaries.metric]: Number(canaries.number), canary_mode: canaries.text },
    note: canaries.unknownField,
  };
  const messages: [string, object | string][] = [
    [topic(canaries.device, 'telemetry'), reading],
    [topic(canaries.device, 'backfill'), { ...reading, seq: reading.seq + 1 }],
    [topic(canaries.device, 'telemetry'), canaries.quarantined],
    [topic(canaries.unknownDevice, 'telemetry'), { values: { x: 1 } }],
    [topic('gateway', 'status'), { state: 'online', at: canaries.statusAt }],
  ];
  for (const [name, payload] of messages)
    await client.publishAsync(
      name,
      typeof payload === 'string' ? payload : JSON.stringify(payload),
      {
        qos: 1,
      },
    );
}

async function sendCommand(): Promise<void> {
  const { api } = await world.cell('us');
  const path = `/v1/buildings/${building}/devices/${canaries.device}/commands`;
  const request = {
    method: 'POST',
    token: ownerToken('US'),
    headers: { 'content-type': 'application/json', 'idempotency-key': canaries.idempotencyKey },
    body: JSON.stringify({ set: { canary_mode: canaries.command } }),
  };
  await until('the command to be taken', () => ask(api, path, request), {
    fits: ({ status }) => status === 202,
  });
}

/** A token of the owner of the canaries. */
function ownerToken(country: 'DE' | 'US'): string {
  const scopes: Scope[] = ['summary:read', 'command:write'];
  const owner = { user: 'owner@canary.example', client: canaries.client, scopes };
  return must(world.demo.users, 'the demo has users').mint(owner, country);
}

/** What somebody who took the wrong door would send to the other country. */
async function tryAbroad(): Promise<void> {
  const { mqtt, api, tokens } = await world.cell('de');
  await refused(mqtt, {
    username: building,
    password: canaries.text,
    clientId: canaries.mqttClient,
    will: {
      topic: `v1/${building}/gateway/status`,
      payload: Buffer.from(canaries.quarantined),
      qos: 1,
      retain: true,
    },
  });
  const paths = [
    '',
    '/latest',
    '/summaries',
    '/live',
    '/devices',
    '/account',
    `/devices/${canaries.device}/commands/c1`,
  ];
  for (const path of paths) {
    const response = await ask(api, `/v1/buildings/${building}${path}`, { token: tokens.client });
    expect(response.status).toBe(421);
    expect(await response.text()).not.toContain('canary');
  }
  const raw = await ask(api, `/v1/raw/readings?building=${building}`, { token: tokens.analyst });
  expect(raw.status).toBe(421);
}

/** Resolves when the broker does not let this client in; throws when it does. */
async function refused(url: string, options: IClientOptions): Promise<void> {
  const client = connect(url, { ...options, reconnectPeriod: 0 });
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  client.once('connect', () => reject(new Error('The broker let it in')));
  client.on('error', () => resolve());
  client.once('close', () => resolve());
  try {
    await promise;
  } finally {
    client.end(true);
  }
}

function landed(cc: string) {
  return queryLanding(join(world.cellDir(cc), 'lake'), 'select * from {files}');
}

type Found = ReadonlySet<string>;

function foundInText(text: string): Found {
  return new Set(Object.values(canaries).filter((canary) => text.includes(canary)));
}

/** In the bytes and names of everything below these folders. */
function foundInFiles(...dirs: readonly string[]): Found {
  const found = new Set<string>();
  for (const dir of dirs) {
    for (const entry of readdirSync(dir, {
      recursive: true,
      withFileTypes: true,
      encoding: 'utf8',
    })) {
      const path = join(entry.parentPath, entry.name);
      const bytes = entry.isFile() ? bytesOf(path) : Buffer.alloc(0);
      const here = Object.values(canaries).filter(
        (canary) => bytes.includes(canary) || path.slice(dir.length).includes(canary),
      );
      for (const canary of here) found.add(canary);
    }
  }
  return found;
}

/** Files that are being written go away under their passing names. */
function bytesOf(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch {
    return Buffer.alloc(0);
  }
}

/** All that a cell holds and says, by the kind of place. */
async function everythingOf(cc: 'de' | 'us'): Promise<Record<string, Found>> {
  const { api, tokens, admin, buildings } = await world.cell(cc);
  const cell = must(world.demo.cells.get(cc === 'de' ? 'DE' : 'US'), 'both are served');
  const parquet = [
    ...(await landed(cc)),
    ...(await queryLanding(join(world.cellDir(cc), 'lake'), 'select * from {files}', 'quarantine')),
  ];
  const period = `from=${new Date(Date.now() - 7_200_000).toISOString()}&to=${new Date(Date.now() + 3_600_000).toISOString()}`;
  const answers: string[] = [];
  const question = async (path: string, token: string): Promise<void> => {
    answers.push(`${path} ${await (await ask(api, path, { token })).text()}`);
  };
  const owner = ownerToken(cc === 'de' ? 'DE' : 'US');
  for (const token of [tokens.client, tokens.analyst, owner])
    await question('/v1/buildings', token);
  await question('/v1/residency', tokens.sre);
  for (const id of buildings) {
    for (const path of [
      '',
      '/latest',
      '/devices',
      `/account?${period}`,
      `/summaries?${period}&interval=PT1M&level=device`,
    ])
      await question(`/v1/buildings/${id}${path}`, tokens.analyst);
    await question(`/v1/raw/readings?building=${id}&${period}`, tokens.analyst);
  }
  const metrics = await Promise.all(
    Object.values(admin).map(async (address) => (await fetch(`${address}/metrics`)).text()),
  );
  return {
    bytes: foundInFiles(world.cellDir(cc)),
    records: foundInText(await decodedKafka(cell.kafka.admin())),
    parquet: foundInText(JSON.stringify(parquet)),
    answers: foundInText(answers.join('\n')),
    metrics: foundInText(metrics.join('\n')),
    events: foundInText(await eventsOf(cc)),
  };
}

/** What live push says for a while, in which one more reading comes in at home. */
async function eventsOf(cc: 'de' | 'us'): Promise<string> {
  const { api, tokens, buildings } = await world.cell(cc);
  const texts = buildings.map(async (id) => {
    const stop = AbortSignal.timeout(5_000);
    const path = `/v1/buildings/${id}/live`;
    const response = await ask(api, path, { token: tokens.analyst, signal: stop });
    if (id === building) await speak(session, 2);
    let text = '';
    try {
      const body = must(response.body, 'a stream has a body');
      for await (const chunk of body.pipeThrough(new TextDecoderStream())) text += chunk;
    } catch (error) {
      if (!stop.aborted) throw error;
    }
    return text;
  });
  return (await Promise.all(texts)).join('\n');
}

const foundIn = (places: Record<string, Found>, canary: string) =>
  Object.keys(places).filter((place) => places[place]?.has(canary));

test('what one country is told is nowhere in the other country and the issuer, and the search finds it at home', async () => {
  const home = await everythingOf('us');
  const abroad = {
    ...(await everythingOf('de')),
    'identity and web': foundInFiles(join(world.dir, 'identity'), join(world.dir, 'logs')),
  };
  const notAtHome: string[] = [];
  const breaches: string[] = [];
  for (const [what, canary] of Object.entries(canaries)) {
    if (foundIn(home, canary).length === 0) notAtHome.push(what);
    const places = foundIn(abroad, canary);
    if (places.length > 0) breaches.push(`${what} in ${places.join(', ')}`);
  }
  expect(notAtHome).toEqual([]);
  expect(breaches).toEqual([]);
  const seen = ['bytes', 'records', 'parquet', 'answers', 'events'];
  expect(seen.filter((place) => home[place]?.has(canaries.metric) !== true)).toEqual([]);
});

test('every border refuses what is not its country’s', async () => {
  const us = await world.cell('us');
  const de = await world.cell('de');
  // A gateway certificate of the other country's authority.
  const credentials = (name: string) =>
    readFileSync(join(world.cellDir('us'), 'credentials', building, name));
  await refused(de.mqtts, {
    ca: readFileSync(join(world.cellDir('de'), 'secrets/cell-authority.pem')),
    cert: credentials('gateway.pem'),
    key: credentials('gateway.key'),
  });
  // A token for one cell at the other's door.
  for (const path of ['/v1/buildings', '/v1/residency'])
    expect((await ask(de.api, path, { token: us.tokens.sre })).status).toBe(401);
  // A building that nobody has declared, of another country: the same answer as for one that exists.
  const unknown = await ask(de.api, `/v1/buildings/${foreign}/latest`, { token: de.tokens.client });
  expect(unknown.status).toBe(421);
  expect(await unknown.json()).toMatchObject({ code: 'residency-violation' });
  // A session that publishes for a building of the other country.
  const { promise: closed, resolve: isClosed } = Promise.withResolvers<void>();
  session.once('close', () => isClosed());
  const topic = 'v1/de-7f3k/r101-air/telemetry';
  const published = session.publishAsync(topic, '{"values":{"co2":1}}', { qos: 1 });
  await Promise.race([closed, published.catch(() => {})]);
  session.end(true);
  const records = await decodedKafka(
    must(world.demo.cells.get('US'), 'US is served').kafka.admin(),
  );
  expect(records).not.toMatch(/telemetry\.v1 de-7f3k/);
});

test('values that declare a building of another country are refused as a whole', async () => {
  const de = await world.cell('de');
  const file = join(import.meta.dirname, '..', de.values);
  const before = readFileSync(file, 'utf8');
  writeFileSync(file, before.replace('de-2m9q', 'us-2m9q'));
  await until('the refusal', async () => world.restarts, {
    fits: (said) => said.some((line) => line.includes('this cell serves DE alone')),
  });
  expect((await world.cell('de')).buildings).toContain('de-2m9q');
  writeFileSync(file, before);
});
