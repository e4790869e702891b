import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '@domicile/devkit/free-ports.ts';
import { freshName } from '@domicile/devkit/fresh-name.ts';
import { waitFor } from '@domicile/devkit/wait-for.ts';
import { connect, type MqttClient } from 'mqtt';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { password, TestHouse } from './test-house.ts';

let house: TestHouse;
let folder: string;
beforeAll(async () => {
  house = await TestHouse.open();
  folder = await mkdtemp(join(tmpdir(), 'broker-'));
  await writeFile(join(folder, 'kafka-password'), 'broker-secret', { mode: 0o600 });
});
afterAll(async () => {
  await rm(folder, { recursive: true });
  await house[Symbol.asyncDispose]();
});

/** The broker as its operators run it: `node main.ts` and an environment. */
async function spawnBroker(port: number, more: Record<string, string> = {}): Promise<ChildProcess> {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'main.ts')], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: {
      CELL_COUNTRY: 'DE',
      KAFKA_BOOTSTRAP: house.kafka.client('broker').bootstrapBrokers.map(String).join(','),
      KAFKA_USER: 'broker',
      KAFKA_PASSWORD_FILE: join(folder, 'kafka-password'),
      BROKER_MQTT_PORT: `${port}`,
      ADMIN_PORT: '0',
      ...more,
    },
  });
  let told = '';
  child.stdout?.on('data', (text) => {
    told += String(text);
  });
  await waitFor('the broker', () => told.includes('Broker listens') || child.exitCode !== null);
  return child;
}

/** Publishes numbers, a few in flight, over whatever happens to the broker, and notes what was acked. */
function startPublishing(client: MqttClient, building: string) {
  const acked = new Set<string>();
  let sent = 0;
  const timer = setInterval(() => {
    if (sent - acked.size > 50) return;
    const payload = `${sent}`;
    sent += 1;
    client
      .publishAsync(`v1/${building}/d1/telemetry`, payload, { qos: 1 })
      .then(() => acked.add(payload))
      .catch(() => undefined);
  }, 1);
  return { acked, stop: () => clearInterval(timer) };
}

test.each(['SIGKILL', 'SIGTERM'] as const)(
  'over a %s in the middle of work, everything acked is in Kafka, and the client loses nothing',
  async (signal) => {
    const building = freshName('de');
    await house.declare(building);
    const port = await freePort();
    let child = await spawnBroker(port);
    const client = connect({
      host: '127.0.0.1',
      port,
      protocolVersion: 5,
      username: building,
      password,
      reconnectPeriod: 100,
      reconnectOnConnackError: true,
    });
    const { acked, stop } = startPublishing(client, building);
    for (let round = 1; round <= 2; round += 1) {
      await waitFor('some acks', () => acked.size > 200 * round);
      const exited = once(child, 'exit');
      child.kill(signal);
      expect(await exited).toEqual(signal === 'SIGKILL' ? [null, 'SIGKILL'] : [0, null]);
      child = await spawnBroker(port);
    }
    await waitFor('more acks', () => acked.size > 700);
    stop();
    const sent = Math.max(...[...acked].map(Number)) + 1;
    await waitFor('the rest', () => acked.size >= sent);
    await client.endAsync();
    const exited = once(child, 'exit');
    child.kill('SIGTERM');
    await exited;
    const kept = new Set(
      (await house.records('telemetry'))
        .filter(({ key }) => key?.toString() === building)
        .map(({ value }) => value?.toString() ?? ''),
    );
    expect([...acked].filter((payload) => !kept.has(payload))).toEqual([]);
    expect(acked.size).toBeGreaterThan(700);
  },
);

test('settings that cannot be read end the process, by name', async () => {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'main.ts')], {
    env: { KAFKA_BOOTSTRAP: 'localhost:1' },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let told = '';
  child.stderr.on('data', (text) => {
    told += String(text);
  });
  const [code] = await once(child, 'exit');
  expect(code).toBe(1);
  expect(told).toContain('CELL_COUNTRY');
});
