import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { promisify } from 'node:util';
import { PlatformError } from '@domicile/core/errors.ts';
import { parseDeviceId } from '@domicile/core/identities.ts';
import { expect, test } from 'vitest';
import { z } from 'zod';
import { fieldsSchema } from '../../model/fields.ts';
import { until } from '../../test-agent.ts';
import { type DriverUnderTest, TestHost, driverPromises } from '../driver-kit.ts';
import { type HttpDriverConfig, startHttpDriver } from './http-driver.ts';

const local = { host: '127.0.0.1', port: 0, requestsPerSecondMax: 1000, answerTimeoutMs: 300 };

function post(
  port: number | undefined,
  body: string,
  headers: Record<string, string> = {},
  device = 'r101-air',
): Promise<Response> {
  return fetch(`http://127.0.0.1:${port}/v1/devices/${device}/telemetry`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body,
  });
}

const underTest: DriverUnderTest = {
  name: 'http',
  start: (host) => startHttpDriver(local, host),
  device: async ({ port }) => ({
    send: async (payload) => (await post(port, payload)).ok,
    [Symbol.asyncDispose]: async () => undefined,
  }),
};

test.each(driverPromises)('$promise', async ({ prove }) => {
  await expect(prove(underTest)).resolves.toBeUndefined();
});

async function started(config: Partial<HttpDriverConfig> = {}) {
  const host = new TestHost();
  return { host, driver: await startHttpDriver({ ...local, ...config }, host) };
}

const reading = '{"values":{"co2":612}}';

test('a repeat of a request with its key is answered and kept once', async () => {
  const { host, driver } = await started();
  await using http = driver;
  const key = { 'idempotency-key': 'k-1' };
  const answers = await Promise.all([post(http.port, reading, key), post(http.port, reading, key)]);
  const again = await post(http.port, reading, key);
  expect([...answers, again].map(({ status }) => status)).toEqual([200, 200, 200]);
  expect(await again.json()).toEqual({ kept: 1 });
  expect(host.payloads).toEqual([reading]);
  const other = await post(http.port, '{"values":{"co2":613}}', key);
  expect(other.status).toBe(409);
  const otherDevice = await post(http.port, reading, key, 'r102-air');
  expect(otherDevice.status).toBe(200);
});

const problem = z.object({
  status: z.number(),
  code: z.string(),
  errors: z.array(z.object({ pointer: z.string() })).default([]),
});

test.each([
  ['no JSON', '{', 400, ['']],
  ['no reading', '[1,{}]', 400, ['/0', '/1']],
  ['an infinite value', '{"values":{"co2":1e400}}', 400, ['/values/co2']],
  ['an empty array', '[]', 400, ['']],
])(
  '%s is refused with its faults, and nothing of it is kept',
  async (_what, body, status, faults) => {
    const { host, driver } = await started();
    await using http = driver;
    const answer = await post(http.port, body);
    expect(answer.status).toBe(status);
    expect(answer.headers.get('content-type')).toContain('application/problem+json');
    const { errors } = problem.parse(await answer.json());
    expect(errors.map(({ pointer }) => pointer)).toEqual(faults);
    expect(host.taken).toEqual([]);
  },
);

test('what HTTP itself forbids is a problem too', async () => {
  const { driver } = await started();
  await using http = driver;
  const base = `http://127.0.0.1:${http.port}/v1/devices`;
  const statuses = await Promise.all([
    post(http.port, reading, { 'content-type': 'text/plain' }),
    post(http.port, `"${'x'.repeat(300_000)}"`, { 'content-type': 'application/json' }),
    post(http.port, reading, {}, 'Not_A_Device'),
    fetch(`${base}/r101-air/telemetry`),
    fetch(`${base}/r101-air/elsewhere`),
  ]);
  expect(statuses.map(({ status }) => status)).toEqual([415, 413, 400, 405, 404]);
});

test('a device with the wrong token is refused', async () => {
  const { host, driver } = await started({ tokens: { 'r101-air': 'right' } });
  await using http = driver;
  const of = async (token: string, device?: string) =>
    (await post(http.port, reading, { authorization: `Bearer ${token}` }, device)).status;
  expect(await of('wrong')).toBe(401);
  expect(await of('right', 'r102-air')).toBe(401);
  expect(await of('right', 'constructor')).toBe(401);
  expect((await post(http.port, reading)).status).toBe(401);
  expect(await of('right')).toBe(200);
  expect(host.taken).toHaveLength(1);
});

const form = { 'content-type': 'application/x-www-form-urlencoded' };

test('a form is kept as a reading, by its own names or by the mapping', async () => {
  const plain = await started();
  await using http = plain.driver;
  const sent = await post(http.port, 'temperature=21.4&seq=3&boot=b1', form);
  expect(await sent.json()).toEqual({ kept: 1 });
  expect(plain.host.payloads.map((text): unknown => JSON.parse(text))).toEqual([
    { boot: 'b1', seq: 3, values: { temperature: 21.4 } },
  ]);
  const fields = fieldsSchema.parse({ t: { metric: 'temperature', scale: 0.1 } });
  const mapped = await started({ fields, time: { field: 'ts', unit: 's' } });
  await using other = mapped.driver;
  expect((await post(other.port, 't=214&ts=1750000000&rssi=-70', form)).status).toBe(200);
  expect((await post(other.port, '{"t":215}')).status).toBe(200);
  expect((await post(other.port, reading)).status).toBe(200);
  expect(mapped.host.payloads.map((text): unknown => JSON.parse(text))).toEqual([
    { at: 1_750_000_000_000, values: { temperature: 21.4 } },
    { values: { temperature: 21.5 } },
    JSON.parse(reading),
  ]);
  const refused = await post(other.port, 't=warm', form);
  expect(problem.parse(await refused.json())).toMatchObject({
    status: 400,
    errors: [{ pointer: '/t' }],
  });
});

/** Python sends a body of unknown length in chunks. */
const chunkedPost = `
import sys, urllib.request
halves = iter([sys.argv[2][:9].encode(), sys.argv[2][9:].encode()])
headers = {'Content-Type': 'application/json'}
request = urllib.request.Request(sys.argv[1], data=halves, headers=headers, method='POST')
print(urllib.request.urlopen(request).read().decode())
`;

test('a body in chunks is one body, by Python and by fetch', async () => {
  const { host, driver } = await started();
  await using http = driver;
  const url = `http://127.0.0.1:${http.port}/v1/devices/r101-air/telemetry`;
  const { stdout } = await promisify(execFile)('python3', ['-c', chunkedPost, url, reading]);
  expect(JSON.parse(stdout)).toEqual({ kept: 1 });
  const halves = async function* () {
    yield Buffer.from(reading.slice(0, 9));
    yield Buffer.from(reading.slice(9));
  };
  const body = ReadableStream.from(halves());
  const headers = { 'content-type': 'application/json' };
  const init: RequestInit & { duplex: 'half' } = { method: 'POST', headers, body, duplex: 'half' };
  expect((await fetch(url, init)).status).toBe(200);
  expect(host.payloads).toEqual([reading, reading]);
});

test('a token may stand as its digest, and a wrong entry ends the start', async () => {
  const digest = createHash('sha256').update('right').digest('hex');
  const { driver } = await started({ tokens: { 'r101-air': `sha256:${digest}` } });
  await using http = driver;
  const of = (token: string) => post(http.port, reading, { authorization: `Bearer ${token}` });
  const wrong = await of(digest);
  expect(wrong.status).toBe(401);
  expect(wrong.headers.get('www-authenticate')).toBe('Bearer');
  expect((await of('right')).status).toBe(200);
  await expect(started({ tokens: { 'r101-air': 'sha256:short' } })).rejects.toThrow(
    'Cannot read the token of r101-air',
  );
});

test('a device above its rate is told when to come again, and others are unharmed', async () => {
  const { host, driver } = await started({ requestsPerSecondMax: 0.1 });
  await using http = driver;
  expect((await post(http.port, reading)).status).toBe(200);
  const refused = await post(http.port, reading);
  expect([refused.status, refused.headers.get('retry-after')]).toEqual([429, '10']);
  expect((await post(http.port, reading, {}, 'r102-air')).status).toBe(200);
  expect(host.taken).toHaveLength(2);
  expect(await host.refused()).toEqual({ 429: 1 });
});

test('a full store is 507 with the time to come again', async () => {
  const { host, driver } = await started();
  await using http = driver;
  host.keep = async () => {
    throw new PlatformError('STORE_FULL', 'Cannot keep readings: the store is full');
  };
  const refused = await post(http.port, reading);
  expect([refused.status, refused.headers.get('retry-after')]).toEqual([507, '5']);
  expect(problem.parse(await refused.json()).code).toBe('store-full');
});

const thermostat = parseDeviceId('r101-thermostat');
const commandsSchema = z.object({
  commands: z.array(z.object({ id: z.string(), set: z.record(z.string(), z.unknown()) })),
});

async function fetched(port: number | undefined, waitSeconds: number) {
  const url = `http://127.0.0.1:${port}/v1/devices/${thermostat}/commands?waitSeconds=${waitSeconds}`;
  return commandsSchema.parse(await (await fetch(url)).json()).commands;
}

function postState(port: number | undefined, id: string, body: string, headers: object = {}) {
  return fetch(`http://127.0.0.1:${port}/v1/devices/${thermostat}/command-states/${id}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body,
  });
}

test('a device that asks gets its command and says what became of it, as JSON or as a form', async () => {
  const { host, driver } = await started({ answerTimeoutMs: 5000 });
  await using http = driver;
  expect(http.drives(thermostat)).toBe(false);
  const waiting = fetched(http.port, 30);
  await until(() => http.drives(thermostat));
  expect(host.reached).toEqual([thermostat]);
  const set = { target_temperature: 22 };
  const first = http.apply({ id: 'c1', device: thermostat, set });
  expect(await waiting).toEqual([{ id: 'c1', set }]);
  expect(await fetched(http.port, 30)).toEqual([{ id: 'c1', set }]);
  expect((await postState(http.port, 'c1', '{"state":"applied"}')).status).toBe(200);
  expect(await first).toEqual({ state: 'applied' });
  expect((await postState(http.port, 'c1', '{"state":"applied"}')).status).toBe(404);
  const second = http.apply({ id: 'c2', device: thermostat, set });
  expect(await fetched(http.port, 0)).toHaveLength(1);
  expect((await postState(http.port, 'c2', '{"state":"done"}')).status).toBe(400);
  expect((await postState(http.port, 'c2', 'state=failed&reason=stuck', form)).status).toBe(200);
  expect(await second).toEqual({ state: 'failed', reason: 'stuck' });
  expect(await fetched(http.port, 0)).toEqual([]);
});

test('a command that is not fetched fails, one that is not answered is unknown, a stop ends both', async () => {
  const { driver } = await started();
  await using http = driver;
  const { driver: patient } = await started({ answerTimeoutMs: 1500 });
  await using waiting = patient;
  const { driver: stopping } = await started({ answerTimeoutMs: 60_000 });
  await using stopped = stopping;
  const command = { device: thermostat, set: { mode: 'eco' } };
  expect(await http.apply({ id: 'c1', ...command })).toMatchObject({ state: 'failed' });
  const expiresAt = new Date(Date.now() - 1000).toISOString();
  expect(await http.apply({ id: 'c2', ...command, expiresAt })).toMatchObject({ state: 'failed' });
  const silent = waiting.apply({ id: 'c3', ...command });
  expect(await fetched(waiting.port, 0)).toHaveLength(1);
  expect(await silent).toEqual({ state: 'unknown', reason: 'the device did not answer' });
  const unasked = stopped.apply({ id: 'c4', ...command });
  for (const _each of [1, 2]) expect(await fetched(stopped.port, 0)).toHaveLength(1);
  await stopped[Symbol.asyncDispose]();
  expect(await unasked).toEqual({ state: 'unknown', reason: 'the agent stopped' });
});

test('a stop ends a waiting question at once, and it is answered', async () => {
  const { driver } = await started();
  const waiting = fetched(driver.port, 60);
  await until(() => driver.drives(thermostat));
  await driver[Symbol.asyncDispose]();
  expect(await waiting).toEqual([]);
});

test('it takes its socket from its host, and says that all is answered', async () => {
  const { host, driver } = await started();
  await using _http = driver;
  expect(host.listeners).toEqual(['http']);
});
