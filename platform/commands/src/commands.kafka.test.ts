import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { commandAnswer } from '@domicile/core/answers/commands.ts';
import type { CommandRecord } from '@domicile/core/command.ts';
import { headers, type StreamName, streams, topicOf } from '@domicile/core/streams.ts';
import { buildingsOf } from '@domicile/core/values.ts';
import { CellKafka } from '@domicile/devkit/cell-kafka.ts';
import { readTopic } from '@domicile/devkit/kafka-reading.ts';
import { waitFor } from '@domicile/devkit/wait-for.ts';
import { IdempotentProducer } from '@domicile/kafka/idempotent-producer.ts';
import { writeClaims } from '@domicile/runtime/claims.ts';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readConfig } from './config.ts';
import { type CommandService, startCommands } from './start.ts';

// Real Kafka with rights: what was answered stands in the streams, and a restart knows it.

const secret = 'of this test alone';
const parts = new AsyncDisposableStack();
const path = '/v1/buildings/de-one/devices/r1-heat/commands';
const values = {
  buildings: {
    'de-one': {
      client: 'acme',
      timeZone: 'Europe/Berlin',
      floors: { '1': { rooms: { r1: { devices: { heat: 'thermostat' } } } } },
    },
  },
};
let kafka: CellKafka;
let producer: IdempotentProducer;
let start: () => Promise<CommandService>;

beforeAll(async () => {
  kafka = parts.use(await CellKafka.start({ country: 'DE', partitions: 2 }));
  const folder = await mkdtemp(join(tmpdir(), 'commands-'));
  await writeFile(join(folder, 'secret'), secret);
  await writeFile(join(folder, 'kafka'), 'commands-secret');
  const topics = (['registry', 'command-states', 'commands'] as const).map((stream) =>
    topicOf('DE', stream),
  );
  producer = await IdempotentProducer.open({ client: kafka.admin(), clientId: 'test', topics });
  parts.defer(() => producer.close());
  for (const building of buildingsOf(values, 'DE')) await write('registry', building.id, building);
  const config = readConfig({
    CELL_COUNTRY: 'DE',
    KAFKA_BOOTSTRAP: kafka.client('commands').bootstrapBrokers.map(String).join(','),
    KAFKA_USER: 'commands',
    KAFKA_PASSWORD_FILE: join(folder, 'kafka'),
    COMMANDS_INTERNAL_SECRET_FILE: join(folder, 'secret'),
    COMMANDS_EXPIRY_CHECK_MS: '100',
  });
  start = async () => {
    const service = await startCommands(config, (error) => {
      throw error;
    });
    await waitFor('it to be ready', async () => (await fetch(`${service.adminUrl}/readyz`)).ok);
    return service;
  };
});

afterAll(() => parts.disposeAsync());

async function write(stream: StreamName, key: string, value: unknown): Promise<void> {
  await producer.send({
    topic: topicOf('DE', stream),
    key: Buffer.from(key),
    value: Buffer.from(JSON.stringify(value)),
    headers: { [headers.schema]: streams[stream].schema },
  });
}

function ask(service: CommandService, at: string, options: { body?: unknown; key?: string } = {}) {
  const claims = {
    subject: 'someone',
    client: 'acme',
    scopes: new Set(['command:write'] as const),
    expiresAt: Math.floor(Date.now() / 1000) + 600,
  };
  const { body, key } = options;
  return fetch(`${service.url}${at}`, {
    method: body === undefined ? 'GET' : 'POST',
    headers: {
      ...writeClaims(claims, secret),
      ...(body !== undefined && { 'Content-Type': 'application/json' }),
      ...(key !== undefined && { 'Idempotency-Key': key }),
    },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
}

function parsed(value: Buffer | null): unknown {
  return value === null ? null : JSON.parse(value.toString());
}

async function valuesOf(stream: StreamName) {
  const records = await readTopic(kafka.admin(), topicOf('DE', stream));
  return records.map((record) => ({
    key: record.key?.toString(),
    schema: record.headers.get(headers.schema),
    value: parsed(record.value),
  }));
}

test('what was answered stands in the streams, is followed, and is known after a restart', async () => {
  const body = { set: { target_temperature: 21 } };
  let location = '';
  {
    await using service = await start();
    const answer = await ask(service, path, { body, key: 'k' });
    expect(answer.status).toBe(202);
    location = answer.headers.get('location') ?? '';
  }
  const id = location.split('/').at(-1) ?? '';
  const [command] = await valuesOf('commands');
  expect(command).toMatchObject({
    key: 'de-one',
    schema: 'commands/1',
    value: { id, building: 'de-one', device: 'r1-heat', set: body.set, by: 'someone' },
  });
  expect(await valuesOf('command-states')).toMatchObject([
    { key: 'de-one', schema: 'command-states/1', value: { id, state: 'accepted' } },
  ]);

  await using service = await start();
  const again = await ask(service, path, { body, key: 'k' });
  expect([again.status, again.headers.get('location')]).toEqual([202, location]);
  const told = { id, building: 'de-one', device: 'r1-heat', at: new Date().toISOString() };
  await write('command-states', 'de-one', { ...told, state: 'delivered' });
  await write('command-states', 'de-one', { ...told, state: 'applied' });
  const stateOf = async () =>
    commandAnswer.parse(await (await ask(service, location)).json()).state;
  await expect.poll(stateOf, { timeout: 5_000 }).toBe('applied');
  expect(await valuesOf('commands')).toHaveLength(1);
});

test('what nobody took is told as expired in its stream', async () => {
  const record: CommandRecord = {
    id: 'old',
    building: 'de-one',
    device: 'r1-heat',
    set: { mode: 'eco' },
    expiresAt: new Date(Date.now() - 31_000).toISOString(),
    acceptedAtMs: Date.now() - 60_000,
    by: 'someone',
    idempotencyKey: null,
  };
  await write('commands', 'de-one', record);
  await using service = await start();
  const expired = async () =>
    (await valuesOf('command-states')).filter(({ value }) =>
      JSON.stringify(value).includes('"state":"expired"'),
    );
  await expect.poll(async () => (await expired()).length, { timeout: 10_000 }).toBe(1);
  expect((await expired())[0]?.value).toMatchObject({ id: 'old', building: 'de-one' });
  // The service knows of it when Kafka has acknowledged it, which readers may see earlier.
  const stateOf = async () =>
    commandAnswer.parse(await (await ask(service, `${path}/old`)).json()).state;
  await expect.poll(stateOf, { timeout: 10_000 }).toBe('expired');
});
