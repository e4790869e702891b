import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { issueCertificate, loopbackNames } from '@domicile/devkit/certificates.ts';
import { freshName } from '@domicile/devkit/fresh-name.ts';
import { waitFor } from '@domicile/devkit/wait-for.ts';
import { type KeyPair, createAuthority } from '@domicile/runtime/certificates.ts';
import { connectAsync, type MqttClient } from 'mqtt';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Flood } from './admission/test-flooder.ts';
import { password, soon, TestHouse } from './test-house.ts';

let house: TestHouse;
let folder: string;
let broker: ChildProcess;
let ports: { mqttPort: number; mqttsPort: number };
let authority: KeyPair;
const calm = freshName('de');
let client: MqttClient;
/** Milliseconds. */
let alone: number;
beforeAll(async () => {
  house = await TestHouse.open();
  folder = await mkdtemp(join(tmpdir(), 'fair-'));
  authority = await createAuthority('cell-de');
  const server = await issueCertificate(authority, { name: 'broker', names: loopbackNames });
  await writeFile(join(folder, 'kafka-password'), 'broker-secret', { mode: 0o600 });
  await writeFile(join(folder, 'server.pem'), server.certificate);
  await writeFile(join(folder, 'server.key'), server.key);
  await writeFile(join(folder, 'ca.pem'), authority.certificate);
  broker = spawn(process.execPath, [join(import.meta.dirname, 'main.ts')], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: {
      CELL_COUNTRY: 'DE',
      KAFKA_BOOTSTRAP: house.kafka.client('broker').bootstrapBrokers.map(String).join(','),
      KAFKA_USER: 'broker',
      KAFKA_PASSWORD_FILE: join(folder, 'kafka-password'),
      BROKER_MQTT_PORT: '0',
      BROKER_MQTTS_PORT: '0',
      BROKER_TLS_CERT_FILE: join(folder, 'server.pem'),
      BROKER_TLS_KEY_FILE: join(folder, 'server.key'),
      BROKER_TLS_CA_FILE: join(folder, 'ca.pem'),
      ADMIN_PORT: '0',
    },
  });
  let told = '';
  broker.stdout?.on('data', (text) => {
    told += String(text);
  });
  await waitFor('the broker', () => told.includes('Broker listens') || broker.exitCode !== null);
  const port = (name: string) => Number(new RegExp(`"${name}":(\\d+)`).exec(told)?.[1]);
  ports = { mqttPort: port('mqttPort'), mqttsPort: port('mqttsPort') };
  await house.declare(calm);
  client = await soon(() =>
    connectAsync(`mqtts://127.0.0.1:${ports.mqttsPort}`, {
      ca: authority.certificate,
      username: calm,
      password,
      protocolVersion: 5,
      reconnectPeriod: 0,
    }),
  );
  await p99Of(20);
  alone = await p99Of(100);
});
afterAll(async () => {
  await client.endAsync(true);
  const exited = once(broker, 'exit');
  broker.kill('SIGKILL');
  await exited;
  await rm(folder, { recursive: true });
  await house[Symbol.asyncDispose]();
});

/** Fifty messages a second; the 99th percentile of the time to their acks, in milliseconds. */
async function p99Of(messages: number): Promise<number> {
  const acksMs: number[] = [];
  const sent: Promise<void>[] = [];
  for (let each = 0; each < messages; each += 1) {
    const fromMs = performance.now();
    sent.push(
      client
        .publishAsync(`v1/${calm}/d1/telemetry`, `${each}`, { qos: 1 })
        .then(() => void acksMs.push(performance.now() - fromMs)),
    );
    await wait(20);
  }
  await Promise.all(sent);
  return acksMs.toSorted((one, other) => one - other)[Math.ceil(messages * 0.99) - 1] ?? Infinity;
}

function startFlood(flood: Flood, secure: boolean, building: string) {
  const order = {
    port: secure ? ports.mqttsPort : ports.mqttPort,
    secure,
    building,
    password,
    flood,
    connections: 32,
  };
  const child = spawn(
    process.execPath,
    [join(import.meta.dirname, 'admission/test-flooder.ts'), JSON.stringify(order)],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  let last = '';
  child.stdout.on('data', (text) => {
    last = String(text).trim();
  });
  return {
    last: () => last,
    async stop() {
      const exited = once(child, 'exit');
      child.kill('SIGKILL');
      await exited;
    },
  };
}

test.each<[Flood, boolean]>([
  ['publish', false],
  ['publish', true],
  ['publish-large', true],
  ['ping', false],
  ['subscribe', false],
  ['connect', true],
])('a building that floods by %s (TLS: %s) does not slow another', async (flood, secure) => {
  const loud = freshName('de');
  await house.declare(loud);
  const flooding = startFlood(flood, secure, loud);
  await waitFor('the flood', () => flooding.last() !== '');
  const beside = await p99Of(100);
  await flooding.stop();
  const figures = `p99 ${alone.toFixed(1)} ms alone, ${beside.toFixed(1)} ms beside ${flooding.last()}`;
  process.stdout.write(`fairness, ${flood}${secure ? ' over TLS' : ''}: ${figures}\n`);
  // The promise is twice its own or 50 ms; a busy machine adds its own share. Without turns and bounds it is many seconds.
  expect(beside).toBeLessThan(Math.max(4 * alone, 2000));
});
