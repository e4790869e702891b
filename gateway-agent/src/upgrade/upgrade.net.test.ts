import { once } from 'node:events';
import { readFile, readdir, writeFile } from 'node:fs/promises';
import { Agent as HttpAgent, IncomingMessage, request } from 'node:http';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { accountReportPayload } from '@domicile/core/account.ts';
import { must } from '@domicile/core/invariants.ts';
import { expect, test } from 'vitest';
import { testDirectory, until } from '../test-agent.ts';
import { TestCell } from '../test-cell.ts';
import { AgentProcess } from '../test-process.ts';
import { TestDevices } from './test-devices.ts';

interface World extends AsyncDisposable {
  readonly cell: TestCell;
  readonly agent: AgentProcess;
  readonly dataDirectory: string;
}

const drivers = { mqtt: { port: 0 }, http: { port: 0, requestsPerSecondMax: 10_000 } };

async function world(parts: Record<string, Record<string, unknown>> = {}): Promise<World> {
  await using stack = new AsyncDisposableStack();
  const cell = stack.use(await TestCell.start());
  const directory = stack.use(await testDirectory());
  const agent = stack.use(new AgentProcess(directory.path));
  stack.defer(() => killSuccessor(join(directory.path, 'data/agent.pid')));
  const uplink = { backfillPerSecond: 50_000 };
  await agent.configure(cell.url, { drivers, uplink, ...parts });
  await agent.start();
  const moved = stack.move();
  return {
    cell,
    agent,
    dataDirectory: join(directory.path, 'data'),
    [Symbol.asyncDispose]: () => moved.disposeAsync(),
  };
}

/** Whichever process it was in the end. */
async function killSuccessor(pidPath: string): Promise<void> {
  const pid = Number(await readFile(pidPath, 'utf8').catch(() => ''));
  if (pid > 0 && isAlive(pid)) process.kill(pid, 'SIGKILL');
}

async function upgrade({ agent }: World): Promise<{ status: number; pid: number }> {
  const answer = await fetch(`${must(agent.addresses, 'It runs').admin}/upgrade`, {
    method: 'POST',
  });
  const body: unknown = await answer.json();
  return { status: answer.status, pid: Number(Object(body).pid) };
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

async function gone(pid: number, timeoutMs = 40_000): Promise<void> {
  await until(() => !isAlive(pid), { timeoutMs });
}

/** By device, what the cell has acked of its counter. */
function countersAt(cell: TestCell): Map<string, Set<number>> {
  const counters = new Map<string, Set<number>>();
  for (const { device, values } of cell.readings()) {
    const known = counters.get(device) ?? new Set();
    known.add(Number(values['n']));
    counters.set(device, known);
  }
  return counters;
}

function missingAt(cell: TestCell, said: readonly { name: string; said: number }[]): string[] {
  const counters = countersAt(cell);
  return said.flatMap(({ name, said: count }) =>
    Array.from({ length: count }, (_, n) => n).flatMap((n) =>
      counters.get(name)?.has(n) ? [] : [`${name} ${n}`],
    ),
  );
}

test('1,000 devices publish QoS 0 without a cache through an upgrade, and nothing is missing', async () => {
  await using there = await world();
  const { cell, agent, dataDirectory } = there;
  const port = must(agent.addresses?.mqtt, 'The driver listens');
  const before = must(agent.pid, 'It runs');
  using devices = new TestDevices(1000, { port, everyMs: 2000 });
  await until(() => cell.readings().length > 1000);
  const { status, pid } = await upgrade(there);
  expect(status).toBe(202);
  await gone(before);
  await wait(2500);
  devices.stop();
  const said = devices.devices.map(({ name, said: count }) => ({ name, said: count }));
  const total = said.reduce((sum, { said: count }) => sum + count, 0);
  await until(() => missingAt(cell, said).length === 0 || undefined, { timeoutMs: 15_000 }).catch(
    () => undefined,
  );
  expect(missingAt(cell, said)).toEqual([]);
  expect(total).toBeGreaterThan(2000);
  expect(devices.devices.reduce((sum, { resets }) => sum + resets, 0)).toBe(0);
  expect(devices.devices.every(({ connections }) => connections === 2)).toBe(true);
  // One number is one reading, over both runs.
  const numbers = new Map<string, unknown>();
  for (const { device, boot, seq, values } of cell.readings()) {
    const number = `${device} ${boot} ${seq}`;
    expect(numbers.get(number) ?? values['n']).toBe(values['n']);
    numbers.set(number, values['n']);
  }
  expect(await readFile(join(dataDirectory, 'agent.pid'), 'utf8')).toBe(`${pid}\n`);
  await until(() => cell.bodies('gateway/account').length > 0);
  for (let n = 0; n < 100 && (await stores(dataDirectory)).length > 1; n += 1) await wait(100);
  expect(await stores(dataDirectory)).toEqual(['store-2']);
  await stop(pid);
  expect(unaccounted(cell, said)).toEqual([]);
}, 90_000);

/** Devices of whose readings the last account does not tell, over the runs before and after. */
function unaccounted(cell: TestCell, said: readonly { name: string; said: number }[]): string[] {
  const [last] = cell.bodies('gateway/account').slice(-1);
  const rows = new Map(
    accountReportPayload.parse(last).devices.map((row) => [row.device, row] as const),
  );
  return said.flatMap(({ name, said: count }) => {
    const row = rows.get(name);
    const told = (row?.next ?? 0) + (row?.previous?.next ?? 0);
    return told === count && row?.dropped.length === 0 ? [] : [`${name} ${told} of ${count}`];
  });
}

async function stop(pid: number): Promise<void> {
  process.kill(pid, 'SIGTERM');
  await gone(pid);
}

async function stores(dataDirectory: string): Promise<string[]> {
  return (await readdir(dataDirectory)).filter((name) => name.startsWith('store'));
}

/** A device that posts over one connection that it keeps, and counts what was answered with 200. */
class PostingDevice implements Disposable {
  readonly name: string;
  readonly acked: number[] = [];
  readonly failures: string[] = [];
  readonly #port: number;
  readonly #agent = new HttpAgent({ keepAlive: true, maxSockets: 1 });
  #n = 0;

  constructor(name: string, port: number) {
    this.name = name;
    this.#port = port;
  }

  async post(): Promise<void> {
    const n = this.#n;
    this.#n += 1;
    const sent = request({
      agent: this.#agent,
      host: '127.0.0.1',
      port: this.#port,
      method: 'POST',
      path: `/v1/devices/${this.name}/telemetry`,
      headers: { 'content-type': 'application/json' },
    });
    sent.end(JSON.stringify({ values: { n } }));
    try {
      const answer: unknown[] = await once(sent, 'response');
      const [response] = answer;
      if (!(response instanceof IncomingMessage)) throw new Error('Cannot read: no response');
      response.resume();
      await once(response, 'end');
      if (response.statusCode === 200) this.acked.push(n);
      else this.failures.push(`${n}: ${response.statusCode}`);
    } catch (error) {
      this.failures.push(`${n}: ${String(error)}`);
    }
  }

  [Symbol.dispose](): void {
    this.#agent.destroy();
  }
}

test('devices that post over connections they keep see no failure, and what was answered is there', async () => {
  await using there = await world();
  const { cell, agent } = there;
  const before = must(agent.pid, 'It runs');
  const port = must(agent.addresses?.http, 'The driver listens');
  const devices = Array.from({ length: 20 }, (_, n) => new PostingDevice(`h${n}`, port));
  const over = new AbortController();
  const posting = devices.map(async (device, place) => {
    await wait(place * 20);
    for (; !over.signal.aborted; await wait(400)) await device.post();
  });
  await until(() => cell.readings().length > 40);
  const { pid } = await upgrade(there);
  await gone(before);
  await wait(1000);
  over.abort();
  await Promise.all(posting);
  expect(devices.flatMap(({ failures }) => failures)).toEqual([]);
  const missing = () => {
    const counters = countersAt(cell);
    return devices.flatMap(({ name, acked }) =>
      acked.filter((n) => !counters.get(name)?.has(n)).map((n) => `${name} ${n}`),
    );
  };
  await until(() => missing().length === 0);
  for (const device of devices) device[Symbol.dispose]();
  await stop(pid);
}, 60_000);

test.each([
  ['ends', ['-e', 'process.exit(3)'], 30_000],
  ['is never ready', ['-e', 'setInterval(() => undefined, 1000)'], 700],
])(
  'a next agent that %s changes nothing: this one goes on',
  async (_why, args, readyTimeoutMs) => {
    const command = [process.execPath, ...args];
    await using there = await world({ upgrade: { command, readyTimeoutMs } });
    const { cell, agent } = there;
    const port = must(agent.addresses?.mqtt, 'The driver listens');
    using devices = new TestDevices(20, { port, everyMs: 200 });
    await until(() => cell.readings().length > 40);
    expect((await upgrade(there)).status).toBe(503);
    const { length } = cell.readings();
    await until(() => cell.readings().length > length + 40);
    devices.stop();
    const said = devices.devices.map(({ name, said: count }) => ({ name, said: count }));
    await until(() => missingAt(cell, said).length === 0);
    expect(devices.devices.every(({ connections }) => connections === 1)).toBe(true);
  },
  60_000,
);

test.each(['old', 'new'] as const)(
  'the %s one is killed while they change over: what was acked is kept, and one goes on',
  async (which) => {
    await using there = await world({ upgrade: { leaveTimeoutMs: 4000 } });
    const { cell, agent } = there;
    const before = must(agent.pid, 'It runs');
    const port = must(agent.addresses?.http, 'The driver listens');
    using devices = new TestDevices(50, {
      port: must(agent.addresses?.mqtt, 'So'),
      everyMs: 30_000,
    });
    const posting = new PostingDevice('h0', port);
    for (let n = 0; n < 20; n += 1) await posting.post();
    await cell.close();
    for (let n = 0; n < 20; n += 1) await posting.post();
    await until(() => devices.devices.some(({ connections }) => connections > 0));
    const { pid } = await upgrade(there);
    for (let n = 0; n < 5; n += 1) await posting.post();
    process.kill(which === 'old' ? before : pid, 'SIGKILL');
    if (which === 'new') {
      await gone(before, 20_000);
      await agent.start();
    }
    await cell.open();
    await until(() => {
      const known = countersAt(cell).get('h0');
      return posting.acked.every((n) => known?.has(n));
    });
    expect(posting.acked.length).toBeGreaterThan(39);
    posting[Symbol.dispose]();
    if (which === 'old') await stop(pid);
  },
  60_000,
);

test('an agent that is asked for the next one before it is there starts all the same', async () => {
  await using cell = await TestCell.start();
  await using directory = await testDirectory();
  // An issuer that says nothing: the start waits for it for a while.
  await using issuer = createServer((socket) => socket.resume().on('error', () => undefined));
  issuer.listen(0, '127.0.0.1');
  await once(issuer, 'listening');
  const address = must(issuer.address(), 'It listens');
  const url = `https://127.0.0.1:${typeof address === 'object' ? address.port : 0}`;
  await writeFile(join(directory.path, 'token'), 'a-token');
  const enrolment = { url, tokenFile: 'token' };
  const uplink = { certFile: 'gw.pem', keyFile: 'gw.key', enrolment };
  await using agent = new AgentProcess(directory.path);
  await agent.configure(cell.url, { drivers, uplink });
  const started = agent.start();
  const pidPath = join(directory.path, 'data/agent.pid');
  let pid = 0;
  while (pid === 0) pid = Number(await readFile(pidPath, 'utf8').catch(() => ''));
  process.kill(pid, 'SIGUSR2');
  await started;
  expect(isAlive(pid)).toBe(true);
}, 60_000);
