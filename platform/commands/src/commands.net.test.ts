import { commandAnswer } from '@domicile/core/answers/commands.ts';
import type { CommandRecord, CommandStateRecord } from '@domicile/core/command.ts';
import { PlatformError } from '@domicile/core/errors.ts';
import { buildingsOf } from '@domicile/core/values.ts';
import { type Claims, writeClaims } from '@domicile/runtime/claims.ts';
import { startHttp } from '@domicile/runtime/http.ts';
import { createLog } from '@domicile/runtime/log.ts';
import { createRegistry } from '@domicile/runtime/metrics.ts';
import { expect, test } from 'vitest';
import { z } from 'zod';
import { CommandDesk } from './command-desk.ts';
import { commandEvents } from './events.ts';
import { CommandBook } from './model/command-book.ts';
import { commandRoutes } from './routes.ts';

const secret = 'of this test alone';
const building = (client: string) => ({
  client,
  timeZone: 'Europe/Berlin',
  floors: { '1': { rooms: { r1: { devices: { heat: 'thermostat' } } } } },
});
const values = { buildings: { 'de-one': building('acme'), 'de-two': building('other') } };

async function startDesk() {
  const written: (CommandRecord | CommandStateRecord)[] = [];
  const state = { nowMs: Date.now(), isDown: false, isBehind: false };
  const write = (record: CommandRecord | CommandStateRecord) => {
    if (state.isDown) return Promise.reject(new PlatformError('UPSTREAM_UNAVAILABLE', 'Cannot'));
    written.push(record);
    return Promise.resolve();
  };
  const log = createLog('test', { write: () => undefined });
  const book = new CommandBook();
  const desk = new CommandDesk({
    book,
    writer: { command: write, state: write },
    events: commandEvents(log, createRegistry({})),
    now: () => state.nowMs,
  });
  const buildings = new Map(buildingsOf(values, 'DE').map((one) => [one.id, one]));
  const caughtUp = () => !state.isBehind;
  const routes = commandRoutes({ country: 'DE', secret, buildings, book, desk, caughtUp });
  const server = await startHttp(routes, { host: '127.0.0.1', port: 0, log });
  const ask = (path: string, body?: unknown, more: Ask = {}) =>
    fetch(`${server.url}/v1/buildings/${path}`, {
      method: body === undefined ? 'GET' : 'POST',
      headers: {
        ...headersOf(more.claims),
        ...(body !== undefined && { 'Content-Type': 'application/json' }),
        ...(more.key !== undefined && { 'Idempotency-Key': more.key }),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
  return {
    written,
    state,
    book,
    desk,
    ask,
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

interface Ask {
  readonly claims?: Partial<Claims>;
  readonly key?: string;
}

function headersOf(claims: Partial<Claims> = {}) {
  return writeClaims(
    {
      subject: 'someone',
      client: 'acme',
      scopes: new Set(['command:write']),
      expiresAt: Math.floor(Date.now() / 1000) + 600,
      ...claims,
    },
    secret,
  );
}

const path = 'de-one/devices/r1-heat/commands';
const warm = { set: { target_temperature: 21 } };

test('a command is durable before it is answered, and can be followed', async () => {
  await using house = await startDesk();
  const answer = await house.ask(path, warm);
  expect(answer.status).toBe(202);
  const { id, ...accepted } = commandAnswer.parse(await answer.json());
  expect(answer.headers.get('location')).toBe(`/v1/buildings/${path}/${id}`);
  expect(accepted).toMatchObject({ device: 'r1-heat', set: warm.set, state: 'accepted' });
  expect(house.written).toMatchObject([
    { id, set: warm.set },
    { id, state: 'accepted' },
  ]);
  const { acceptedAtMs, expiresAt } = z
    .object({ acceptedAtMs: z.number(), expiresAt: z.string() })
    .parse(house.written[0]);
  expect(Date.parse(expiresAt) - acceptedAtMs).toBe(300_000);

  const told = { id, building: 'de-one', device: 'r1-heat', at: '2026-11-23T07:00:00Z' } as const;
  house.book.takeState({ ...told, state: 'delivered' });
  house.book.takeState({ ...told, state: 'failed', reason: 'valve stuck' });
  const followed = commandAnswer.parse(await (await house.ask(`${path}/${id}`)).json());
  expect(followed.state).toBe('failed');
  expect(followed.history.map(({ state }) => state)).toEqual(['accepted', 'delivered', 'failed']);
  expect(followed.history[2]?.reason).toBe('valve stuck');
});

test('a key stands for one command', async () => {
  await using house = await startDesk();
  const idOf = async (answer: Response) => commandAnswer.parse(await answer.json()).id;
  const [first, second] = await Promise.all([
    house.ask(path, warm, { key: 'k1' }),
    house.ask(path, warm, { key: 'k1' }),
  ]);
  expect([first.status, second.status]).toEqual([202, 202]);
  expect(second.headers.get('location')).toBe(first.headers.get('location'));
  expect(await idOf(second)).toBe(await idOf(first));
  house.state.nowMs += 60_000;
  const third = await house.ask(path, warm, { key: 'k1' });
  expect(third.headers.get('location')).toBe(first.headers.get('location'));
  expect(house.written).toHaveLength(2);
  const other = await house.ask(path, { set: { target_temperature: 22 } }, { key: 'k1' });
  expect(other.status).toBe(409);
  const expiresAt = new Date(house.state.nowMs + 1_000).toISOString();
  expect((await house.ask(path, { ...warm, expiresAt }, { key: 'k1' })).status).toBe(409);
  expect((await house.ask(path, warm, { key: 'k1', claims: { subject: 'other' } })).status).toBe(
    202,
  );
  expect(house.written).toHaveLength(4);
});

test('until all is read that was commanded before, a key is not taken for a new one', async () => {
  await using house = await startDesk();
  house.state.isBehind = true;
  expect((await house.ask(path, warm, { key: 'k' })).status).toBe(503);
  expect(house.written).toEqual([]);
  house.state.isBehind = false;
  expect((await house.ask(path, warm, { key: 'k' })).status).toBe(202);
});

test('what was not acknowledged is not accepted', async () => {
  await using house = await startDesk();
  house.state.isDown = true;
  expect((await house.ask(path, warm, { key: 'k' })).status).toBe(503);
  house.state.isDown = false;
  expect((await house.ask(path, warm, { key: 'k' })).status).toBe(202);
  expect(house.written).toHaveLength(2);
});

test('what nobody took expires, 30 s after its time, once', async () => {
  await using house = await startDesk();
  const answer = await house.ask(path, warm);
  house.state.nowMs += 330_000 - 1;
  expect(await house.desk.expire()).toBe(0);
  house.state.nowMs += 1;
  expect(await house.desk.expire()).toBe(1);
  expect(await house.desk.expire()).toBe(0);
  const { id } = commandAnswer.parse(await answer.json());
  const followed = commandAnswer.parse(await (await house.ask(`${path}/${id}`)).json());
  expect(followed.state).toBe('expired');
});

test('who may command what', async () => {
  await using house = await startDesk();
  const statusOf = async (at: string, more: Ask = {}) => (await house.ask(at, warm, more)).status;
  expect(await statusOf(path, { claims: { scopes: new Set(['summary:read']) } })).toBe(403);
  expect(await statusOf('de-two/devices/r1-heat/commands')).toBe(404);
  expect(await statusOf('de-none/devices/r1-heat/commands')).toBe(404);
  expect(await statusOf('us-one/devices/r1-heat/commands')).toBe(421);
  expect(await statusOf('de-one/devices/r9-heat/commands')).toBe(404);
  expect(await statusOf(path, { claims: { buildings: ['de-two'] } })).toBe(404);
  expect(house.written).toEqual([]);
});

test('a command of another device or building is not to be found', async () => {
  await using house = await startDesk();
  const { id } = commandAnswer.parse(await (await house.ask(path, warm)).json());
  expect((await house.ask(`de-one/devices/other/commands/${id}`)).status).toBe(404);
  const claims = { client: '*' };
  expect(
    (await house.ask(`de-two/devices/r1-heat/commands/${id}`, undefined, { claims })).status,
  ).toBe(404);
});

test.each([
  [{ set: {} }, '#/body/set'],
  [{ set: { temperature: 20 } }, '#/body/set/temperature'],
  [{ set: { target_temperature: 99 } }, '#/body/set/target_temperature'],
  [{ set: { target_temperature: [1] } }, '#/body/set/target_temperature'],
  [{ ...warm, expiresAt: 'now' }, '#/body/expiresAt'],
  [{ ...warm, colour: 1 }, '#/body'],
  [[], '#/body'],
])('%j is refused', async (body, pointer) => {
  await using house = await startDesk();
  const answer = await house.ask(path, body);
  expect(answer.status).toBe(400);
  const { errors } = z
    .object({ errors: z.array(z.object({ pointer: z.string() })) })
    .parse(await answer.json());
  expect(errors.map((error) => error.pointer)).toContain(pointer);
  expect(house.written).toEqual([]);
});
