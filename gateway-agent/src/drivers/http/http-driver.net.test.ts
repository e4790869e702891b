import { expect, test } from 'vitest';
import { z } from 'zod';
import { type DriverUnderTest, TestHost, driverPromises } from '../driver-kit.ts';
import { type HttpDriverConfig, startHttpDriver } from './http-driver.ts';

const local = { host: '127.0.0.1', port: 0 };

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
    post(http.port, `"${'x'.repeat(300_000)}"`),
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
