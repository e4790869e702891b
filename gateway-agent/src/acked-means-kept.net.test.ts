import { type MqttClient, connectAsync } from 'mqtt';
import { expect, test } from 'vitest';
import { TestRandom } from './model/test-random.ts';
import { testDirectory, until } from './test-agent.ts';
import { TestCell } from './test-cell.ts';
import { AgentProcess } from './test-process.ts';

const rounds = 8;
const drivers = { http: { port: 0 }, mqtt: { port: 0 } };

/** What devices know to be kept: the driver answered so. */
interface Ledger {
  readonly acked: Set<string>;
  stopped: boolean;
}

async function pause(ms: number): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, ms));
}

/** A device that posts, one reading after the other; a reading that is not answered is given up. */
async function poster(device: string, agent: AgentProcess, ledger: Ledger): Promise<void> {
  for (let n = 0; !ledger.stopped; n += 1) {
    const port = agent.addresses?.http;
    if (port === undefined) {
      await pause(10);
      continue;
    }
    const answer = await fetch(`http://127.0.0.1:${port}/v1/devices/${device}/telemetry`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ values: { n } }),
    }).catch(() => undefined);
    if (answer?.ok) ledger.acked.add(`${device} ${n}`);
  }
}

/** A device that numbers its readings itself and publishes several at once. */
async function publisher(device: string, agent: AgentProcess, ledger: Ledger): Promise<void> {
  let first = 0;
  let client: MqttClient | undefined;
  while (!ledger.stopped) {
    if (!client?.connected) {
      const port = agent.addresses?.mqtt;
      client = port === undefined ? undefined : await connected(port);
      if (!client) await pause(10);
      continue;
    }
    const acked = await publishBurst(client, device, first);
    for (const n of acked) ledger.acked.add(`${device} ${n}`);
    first += burst;
  }
  client?.end(true);
}

const burst = 20;

function connected(port: number): Promise<MqttClient | undefined> {
  const options = { reconnectPeriod: 0, connectTimeout: 1000 };
  return connectAsync(`mqtt://127.0.0.1:${port}`, options).catch(() => undefined);
}

/** Resolves to what was acked when everything is, or the connection ended. */
async function publishBurst(client: MqttClient, device: string, first: number): Promise<number[]> {
  const acked: number[] = [];
  const { promise, resolve } = Promise.withResolvers<void>();
  client.once('close', resolve);
  for (let n = first; n < first + burst; n += 1) {
    const payload = JSON.stringify({ boot: 'device-run', seq: n, values: { n } });
    client.publish(`${device}/telemetry`, payload, { qos: 1 }, (error) => {
      if (!error) acked.push(n);
      if (acked.length === burst) resolve();
    });
  }
  await promise;
  client.off('close', resolve);
  return acked;
}

/** What the cell has acked, as the ledger writes it. */
function receivedBy(cell: TestCell): Set<string> {
  return new Set(cell.readings().map(({ device, values }) => `${device} ${String(values['n'])}`));
}

function missingAt(cell: TestCell, ledger: Ledger): string[] {
  const received = receivedBy(cell);
  return [...ledger.acked].filter((one) => !received.has(one));
}

test('killed at any instant, the agent loses nothing that it acked and numbers nothing twice', async () => {
  const random = new TestRandom(20_260_723);
  await using cell = await TestCell.start();
  await using directory = await testDirectory();
  await using agent = new AgentProcess(directory.path);
  await agent.configure(cell.url, { drivers, uplink: { backfillPerSecond: 20_000 } });
  const ledger: Ledger = { acked: new Set(), stopped: false };
  await agent.start();
  const devices = Array.from({ length: 8 }, (_, place) => poster(`p${place}`, agent, ledger));
  devices.push(publisher('m1', agent, ledger), publisher('m2', agent, ledger));
  let ackedBefore = 0;
  for (let round = 0; round < rounds; round += 1) {
    if (round % 3 === 1) await cell.close();
    await until(() => ledger.acked.size > ackedBefore + 300);
    await pause(random.below(300));
    ackedBefore = ledger.acked.size;
    await agent.stop();
    if (round % 3 === 1) await cell.open();
    await agent.start();
  }
  await until(() => ledger.acked.size > ackedBefore + 300);
  ledger.stopped = true;
  await Promise.all(devices);
  expect(ledger.acked.size).toBeGreaterThan(rounds * 300);

  await until(() => missingAt(cell, ledger).length === 0).catch(() => undefined);
  expect(missingAt(cell, ledger)).toEqual([]);

  const meanings = new Map<string, unknown>();
  const boots = new Set<string>();
  for (const { device, boot, seq, values } of cell.readings()) {
    const number = `${device} ${boot} ${seq}`;
    expect(meanings.get(number) ?? values['n']).toBe(values['n']);
    meanings.set(number, values['n']);
    if (device.startsWith('p')) boots.add(boot);
  }
  expect(boots.size).toBe(1);
});

test('told to stop, the agent sends what it has and says that it goes', async () => {
  await using cell = await TestCell.start();
  await using directory = await testDirectory();
  await using agent = new AgentProcess(directory.path);
  await agent.configure(cell.url, { drivers });
  await agent.start();
  await until(() => cell.bodies('gateway/status').length > 0);
  const ledger: Ledger = { acked: new Set(), stopped: false };
  const devices = [poster('p1', agent, ledger), publisher('m1', agent, ledger)];
  await until(() => ledger.acked.size > 200);
  const stopped = agent.stop('SIGTERM');
  ledger.stopped = true;
  await Promise.all([stopped, ...devices]);
  expect(missingAt(cell, ledger)).toEqual([]);
  expect(cell.bodies('gateway/status').at(-1)).toMatchObject({ state: 'offline' });
  const sent = cell.readings().length;
  await agent.start();
  await until(() => cell.bodies('gateway/status').length > 2);
  await pause(500);
  expect(cell.readings()).toHaveLength(sent);
});
