import { createHash } from 'node:crypto';
import { appendFile, chmod, cp, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { gatewayName, issueCertificate, loopbackNames } from '@domicile/devkit/certificates.ts';
import { createAuthority } from '@domicile/runtime/certificates.ts';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import type { Agent } from '../running-agent.ts';
import {
  configText,
  testAgent,
  testBuilding,
  testDirectory,
  type TestDirectory,
  until,
} from '../test-agent.ts';
import { TestCell } from '../test-cell.ts';
import { main } from './main.ts';
import { cli, startCli } from './test-cli.ts';

// The program itself, as a person types it, beside a running agent on its store.

let cell: TestCell;
let directory: TestDirectory;
let agent: Agent;
const at = (name: string) => join(directory.path, name);
const lineSchema = z.object({
  store: z.number(),
  index: z.number(),
  device: z.string(),
  reading: z.object({ seq: z.number(), values: z.record(z.string(), z.unknown()) }).optional(),
  bytes: z.string().optional(),
});

beforeAll(async () => {
  [cell, directory] = await Promise.all([TestCell.start(), testDirectory()]);
  const text = configText(cell.url, { drivers: { http: { port: 0 } } });
  await writeFile(at('gateway.yaml'), text);
  agent = await testAgent(directory.path, text);
  for (let count = 0; count < 30; count++)
    await send(
      `r10${count % 3}-air`,
      `{"at":"2026-11-2${count % 3}T12:00:00Z","values":{"co2":${count}}}`,
    );
  await until(() => cell.bodies('gateway/status').length > 0);
  const opaque = { kind: 'opaque' as const, bytes: Buffer.from('no reading') };
  await agent.store.append([{ device: 'r100-air', lane: 'live', reading: opaque }]);
});

afterAll(async () => {
  await agent[Symbol.asyncDispose]();
  await cell[Symbol.asyncDispose]();
  await directory[Symbol.asyncDispose]();
});

async function send(device: string, body: string): Promise<void> {
  const address = `http://127.0.0.1:${agent.ports['http'] ?? 0}/v1/devices/${device}/telemetry`;
  const headers = { 'content-type': 'application/json' };
  const response = await fetch(address, { method: 'POST', headers, body });
  expect({ status: response.status, text: await response.text() }).toMatchObject({ status: 200 });
}

function linesOf(text: string) {
  return text
    .trim()
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => lineSchema.parse(JSON.parse(line)));
}

test('the program ends with the exit code of its command', async () => {
  expect((await cli('version')).out).toMatch(/^domicile-gateway \d+\.\d+\.\d+\n$/);
  await writeFile(at('wrong.yaml'), 'building: de-7f3k\ndataDirecttory: data\n');
  const { code, err } = await cli('run', at('wrong.yaml'));
  expect(code).toBe(2);
  expect(err).toContain('dataDirecttory: is no setting; did you mean `dataDirectory`?');
  expect(err).not.toContain('    at ');
});

test('status shows the agent that runs, once and as JSON, and says so when none does', async () => {
  const { code, out } = await cli('status', '--once', at('gateway.yaml'));
  expect(code).toBe(0);
  expect(out).toMatch(/Gateway gw-1 of de-test/);
  expect(out).toMatch(/Link +connected for/);
  expect(out).toMatch(/Devices +3 seen/);
  const json: unknown = JSON.parse((await cli('status', '--json', at('gateway.yaml'))).out);
  expect(json).toMatchObject({ building: testBuilding, link: { connected: true } });
  // Of the first scrape: what is measured on asking is told at once.
  const metrics = await fetch(`${agent.adminUrl}/metrics`).then((answer) => answer.text());
  expect(metrics).toMatch(/^gateway_devices\{state="seen"[^}]*\} 3$/m);
  expect(metrics).toMatch(/^gateway_store_bytes\{[^}]*\} [1-9]\d*$/m);
  expect(metrics).toMatch(/^gateway_disk_free_bytes\{[^}]*\} [1-9]\d*$/m);
  await writeFile(at('other.yaml'), configText(cell.url).replace('"data"', '"elsewhere"'));
  expect(await cli('status', at('other.yaml'))).toMatchObject({
    code: 3,
    err: expect.stringContaining('No agent has run on'),
  });
  expect((await cli('upgrade', at('other.yaml'))).code).toBe(3);
});

test('status lives on a terminal: it is drawn again, fits, and tells when the agent is gone', async () => {
  await using own = await testDirectory();
  const text = configText(cell.url).replace('"gw-1"', '"gw-live"');
  await writeFile(join(own.path, 'gateway.yaml'), text);
  const running = await testAgent(own.path, text);
  const stop = new AbortController();
  const screens: string[] = [];
  const terminal = {
    out: (screen: string) => void screens.push(screen),
    err: () => undefined,
    isLive: true,
    columns: 60,
    rows: 24,
    hasColour: true,
    stop: stop.signal,
  };
  const watched = main(['status', join(own.path, 'gateway.yaml')], terminal);
  await expect.poll(() => screens.length, { timeout: 20_000 }).toBeGreaterThan(1);
  await running[Symbol.asyncDispose]();
  await expect.poll(() => screens.at(-1), { timeout: 20_000 }).toMatch(/No agent answers at/);
  stop.abort();
  expect(await watched).toBe(0);
  expect(screens[0]).toMatch(/Gateway gw-live of de-test/);
  // oxlint-disable-next-line no-control-regex -- it is what a terminal is told
  const lines = (screens[0] ?? '').replaceAll(/\u001B\[[\d;]*[A-Za-z]/g, '').split('\n');
  expect(lines.length).toBeLessThanOrEqual(24);
  expect(lines.filter((line) => line.length > 60 && !line.includes('domicile-gateway'))).toEqual(
    [],
  );
});

/** Names, sizes and contents of all segments. */
async function fingerprint(path: string): Promise<string> {
  const names = (await readdir(path, { recursive: true })).filter((name) =>
    name.includes('segment'),
  );
  const hash = createHash('sha256');
  for (const name of names.toSorted()) hash.update(name).update(await readFile(join(path, name)));
  return hash.digest('hex');
}

test('export writes what was acked, filtered, beside the running agent and of a copy, and changes nothing', async () => {
  const before = await fingerprint(at('data'));
  const { code, out, err } = await cli('export', at('gateway.yaml'));
  expect(code).toBe(0);
  const lines = linesOf(out);
  expect(lines.map(({ index }) => index)).toEqual(lines.map((_, index) => index));
  expect(lines.flatMap(({ reading }) => (reading ? [Number(reading.values['co2'])] : []))).toEqual(
    Array.from({ length: 30 }, (_, index) => index),
  );
  expect(Buffer.from(lines.at(-1)?.bytes ?? '', 'base64').toString()).toBe('no reading');
  expect(err).toMatch(/31 of 31 readings/);

  await cp(at('data'), at('copy'), { recursive: true });
  const ofDevice = linesOf((await cli('export', '--data', at('copy'), '--device', 'r101-air')).out);
  expect(new Set(ofDevice.map(({ device }) => device))).toEqual(new Set(['r101-air']));
  expect(ofDevice).toHaveLength(10);
  expect(await fingerprint(at('data'))).toBe(before);
  expect(await fingerprint(at('copy'))).toBe(before);
});

test('a range is by when it was measured, and includes its begin alone', async () => {
  const path = at('replayed.ndjson');
  await cli('export', at('gateway.yaml'), '--output', path);
  const all = linesOf(await readFile(path, 'utf8'));
  const times = z.object({ reading: z.object({ at: z.string() }).optional() });
  const measured = (await readFile(path, 'utf8'))
    .trim()
    .split('\n')
    .flatMap((line) => times.parse(JSON.parse(line)).reading?.at ?? []);
  const [since = '', end = ''] = [measured[10], measured[20]];
  const part = linesOf(
    (await cli('export', at('gateway.yaml'), '--since', since, '--until', end)).out,
  );
  const expected = measured.filter((time) => time >= since && time < end);
  expect(part).toHaveLength(expected.length);
  expect(all.length).toBeGreaterThan(part.length);
  expect(linesOf((await cli('export', at('gateway.yaml'), '--until', '2020-01-01')).out)).toEqual(
    [],
  );
});

test('an export that was cut off goes on where its last whole line ends', async () => {
  const path = at('cut.ndjson');
  const whole = (await cli('export', at('gateway.yaml'))).out;
  await writeFile(path, whole.slice(0, whole.length / 2));
  expect((await cli('export', at('gateway.yaml'), '--output', path, '--resume')).code).toBe(0);
  expect(await readFile(path, 'utf8')).toBe(whole);
  expect((await cli('export', at('gateway.yaml'), '--output', path, '--resume')).err).toMatch(
    /^0 of 0/,
  );
  await appendFile(path, '{"half');
  await cli('export', at('gateway.yaml'), '--output', path, '--resume');
  expect(await readFile(path, 'utf8')).toBe(whole);
  expect((await cli('export', at('gateway.yaml'), '--resume')).code).toBe(2);
});

test('export tells what it cannot read, by its place, and ends with a code of its own', async () => {
  const copy = at('damaged');
  await cp(at('data'), copy, { recursive: true });
  const name = (await readdir(join(copy, 'store'))).find((one) => one.endsWith('.segment')) ?? '';
  const path = join(copy, 'store', name);
  const bytes = await readFile(path);
  // In names and in a body: of two neighbours, of one alone, and of the last one.
  for (const [n, within] of [
    [4, 45],
    [5, 45],
    [20, 90],
    [30, 45],
  ] as const) {
    const place = nthRecord(bytes, n + 1) + within;
    bytes[place] = (bytes[place] ?? 0) ^ 1;
  }
  await writeFile(path, bytes);
  const { code, out, err } = await cli('export', '--data', copy);
  expect(code).toBe(4);
  const known = new Set(linesOf(out).map(({ index }) => index));
  expect(Array.from({ length: 31 }, (_, n) => n).filter((n) => !known.has(n))).toEqual([
    4, 5, 20, 30,
  ]);
  expect(err).toMatch(
    /^WARNING: 4 records cannot be read .*:\n {2}store 1 index 4–5\n {2}store 1 index 20\n {2}store 1 index 30\n/m,
  );
  expect((await cli('help', 'export')).out).toMatch(/exit code is 4/);
  await writeFile(path, (await readFile(at(`data/store/${name}`))).subarray(0, -20));
  // Of what was never written whole nobody was told that it is kept.
  expect((await cli('export', '--data', copy)).code).toBe(0);
});

/** Where a record begins; the first one is the segment's head. */
function nthRecord(bytes: Buffer, n: number): number {
  let place = 0;
  for (let count = 0; count < n; count += 1) place = bytes.indexOf('DMR1', place + 1);
  return place;
}

interface Found {
  readonly level: string;
  readonly what: string;
  readonly text: string;
}

async function findings(
  ...args: string[]
): Promise<{ code: number | null; all: Found[]; of: (what: string) => Found[] }> {
  const { code, out, err } = await cli('check', '--json', ...args);
  expect(err).toBe('');
  const found = z
    .array(z.object({ level: z.string(), what: z.string(), text: z.string() }))
    .parse(JSON.parse(out));
  return { code, all: found, of: (what) => found.filter((one) => one.what === what) };
}

test('check finds a healthy gateway healthy, without disturbing its agent', async () => {
  const { code, of } = await findings(at('gateway.yaml'));
  expect(code).toBe(0);
  expect(of('cell')).toMatchObject([
    { level: 'warn', text: expect.stringMatching(/in plain text/) },
  ]);
  expect(of('store')).toMatchObject([{ level: 'ok', text: expect.stringMatching(/^31 records/) }]);
  expect(of('agent')).toMatchObject([{ level: 'ok', text: expect.stringMatching(/runs since/) }]);
  expect(cell.connects.map(({ clientId }) => clientId)).toContain('gw-1-check');
  const status: unknown = JSON.parse((await cli('status', '--json', at('gateway.yaml'))).out);
  expect(status).toMatchObject({ link: { connected: true } });
});

test('check says what is wrong, each with what to do', async () => {
  const authority = await createAuthority('cell-authority');
  const stranger = await createAuthority('stranger');
  const server = await issueCertificate(authority, { name: 'cell', names: loopbackNames });
  await using secured = await TestCell.start({
    ca: authority.certificate,
    cert: server.certificate,
    key: server.key,
    requestCert: true,
  });
  const names = [gatewayName({ country: 'de', building: testBuilding, gateway: 'gw-1' })];
  const good = await issueCertificate(authority, { name: 'gw-1', names });
  const ended = await issueCertificate(authority, { name: 'gw-1', names, days: -1 / 48 });
  const other = await issueCertificate(authority, {
    name: 'x',
    names: [{ type: 'url', value: 'urn:domicile:de:de-other:gw-1' }],
  });
  await writeFile(at('ca.pem'), authority.certificate);
  await writeFile(at('stranger.pem'), stranger.certificate);
  const pairs = { good, ended, other };
  for (const [name, { certificate, key }] of Object.entries(pairs)) {
    await writeFile(at(`${name}.pem`), certificate);
    await writeFile(at(`${name}.key`), key, { mode: 0o600 });
  }
  const config = async (name: string, uplink: object, drivers = {}) => {
    const files = { caFile: 'ca.pem', certFile: 'good.pem', keyFile: 'good.key', ...uplink };
    await writeFile(
      at(`${name}.yaml`),
      configText(secured.url, { uplink: files, drivers }).replace('"data"', `"${name}"`),
    );
    return findings(at(`${name}.yaml`));
  };

  const right = await config('right', {});
  expect(right.all.filter(({ level }) => level === 'fail')).toEqual([]);
  expect(right.code).toBe(0);
  expect(right.of('cell')).toMatchObject([{ level: 'ok' }]);
  expect(right.of('certificate')).toMatchObject([
    { level: 'ok', text: expect.stringMatching(/396 days left/) },
  ]);

  await chmod(at('good.key'), 0o644);
  expect((await config('open-key', {})).of('key')).toMatchObject([{ level: 'warn' }]);
  await chmod(at('good.key'), 0o600);

  const old = await config('old', { certFile: 'ended.pem', keyFile: 'ended.key' });
  expect(old.code).toBe(1);
  expect(old.of('certificate')).toMatchObject([
    { level: 'fail', text: expect.stringMatching(/ended .* ago/) },
  ]);

  const mixed = await config('mixed', { certFile: 'other.pem', keyFile: 'good.key' });
  expect(
    mixed.of('certificate').some(({ text }) => text.includes('urn:domicile:de:de-other:gw-1')),
  ).toBe(true);
  expect(mixed.of('key')).toMatchObject([{ level: 'fail' }]);

  const foreign = await config('foreign', { caFile: 'stranger.pem' });
  expect(foreign.of('cell')).toMatchObject([{ level: 'fail' }]);

  const taken = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => taken.once('listening', resolve));
  const address = taken.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const drivers = { http: { port, tokensFile: 'absent.yaml' } };
  const busy = await config('busy', { certFile: 'absent.pem' }, drivers);
  expect(busy.code).toBe(1);
  expect(busy.of('port')).toMatchObject([
    { level: 'fail', text: expect.stringMatching(/another program has it/) },
  ]);
  expect(busy.of('drivers.http.tokensFile')).toMatchObject([{ level: 'fail' }]);
  expect(busy.of('certificate')).toMatchObject([
    { level: 'fail', text: expect.stringMatching(/there is none/) },
  ]);

  const { out } = await cli('check', '--offline', at('busy.yaml'));
  taken.close();
  expect(out).toMatch(/fail {2}port/);
  expect(out).toMatch(/→ see who: ss -ltnp/);
});

test('run speaks to a person and stops in good order', async () => {
  await using own = await TestCell.start();
  const file = at('run.yaml');
  await writeFile(
    file,
    configText(own.url, { drivers: { http: { port: 0 } } }).replace('"data"', '"run"'),
  );
  const { child, ended } = startCli(['run', file], { GATEWAY_LOG: 'text' });
  for (;;) {
    if (await stat(join(directory.path, 'run/addresses.json')).catch(() => undefined)) break;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  await expect
    .poll(async () => (await cli('status', '--once', file)).code, { timeout: 20_000 })
    .toBe(0);
  await until(() => own.bodies('gateway/status').length > 0);
  child.kill('SIGTERM');
  const { code, out, err } = await ended;
  expect({ code, err }).toEqual({ code: 0, err: '' });
  expect(out).toMatch(/^\d\d:\d\d:\d\d info {2}Agent started {2}admin=http:/m);
  expect(out).toMatch(/info {2}Uplink connected/);
  expect(own.bodies('gateway/status').at(-1)).toMatchObject({ state: 'offline' });
});
