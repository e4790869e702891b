import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { PlatformError } from '@domicile/core/errors.ts';
import { CellKafka } from '@domicile/devkit/cell-kafka.ts';
import { freePort, isFreePort } from '@domicile/devkit/free-ports.ts';
import { runService } from '@domicile/runtime/service.ts';
import { readBrokerOpenConfig } from './config.ts';
import { writePrivate } from './secrets.ts';
import { Supervisor } from './supervisor.ts';
import { tellRefusal } from './tell-refusal.ts';

const root = join(import.meta.dirname, '../../..');
const country = 'DE';
const readyTimeoutMs = 60_000;
const stopTimeoutMs = 10_000;
const say = (text: string): void => void process.stdout.write(`${text}\n`);

/** Equal replicas of a broker that takes any client and any topic, on a Kafka of their own that starts empty. */
async function start(): Promise<AsyncDisposable> {
  const { PORT, REPLICAS } = readBrokerOpenConfig();
  const ports = Array.from({ length: REPLICAS }, (_, index) => PORT + index);
  await requireFree(ports.flatMap((port) => [port, webSocketPort(port)]));
  // Of its own for each port, so that several may run.
  const dir = join(root, '.domicile/broker-open', `${PORT}`);
  await using stack = new AsyncDisposableStack();
  await rm(dir, { recursive: true, force: true });
  say('… Kafka');
  const password = 'local';
  const kafka = stack.use(
    await CellKafka.start({
      country,
      dataDir: join(dir, 'kafka'),
      passwords: { broker: password },
      onRestart: (_, outcome) => say(`! Kafka ended (${outcome}) and is started again`),
    }),
  );
  const passwordFile = join(dir, 'broker.password');
  await writePrivate(passwordFile, password);
  const supervisor = new Supervisor({
    restarted: (name, outcome) => say(`! ${name} ended (${outcome}) and is started again`),
  });
  for (const [index, port] of ports.entries()) {
    const name = `broker-${index + 1}`;
    stack.defer(() => supervisor.stop(name, stopTimeoutMs));
    const adminPort = await freePort();
    await supervisor.start({
      name,
      entry: 'platform/broker/src/main.ts',
      env: {
        NODE_ENV: 'production',
        CELL_COUNTRY: country,
        KAFKA_BOOTSTRAP: kafka.bootstrap,
        KAFKA_USER: 'broker',
        KAFKA_PASSWORD_FILE: passwordFile,
        BROKER_TOPIC_POLICY: 'open',
        BROKER_MQTT_PORT: `${port}`,
        BROKER_WS_PORT: `${webSocketPort(port)}`,
        ADMIN_PORT: `${adminPort}`,
      },
      nodeFlags: ['--enable-source-maps'],
      logFile: join(dir, `${name}.log`),
      adminPort,
    });
  }
  for (const [index, port] of ports.entries()) {
    const name = `broker-${index + 1}`;
    await supervisor.ready(name, readyTimeoutMs);
    const { adminPort } = supervisor.spec(name);
    say(
      `mqtt://127.0.0.1:${port}  ws://127.0.0.1:${webSocketPort(port)}  admin http://127.0.0.1:${adminPort}`,
    );
  }
  say('Ready. Any client, any topic; nothing is kept. Ctrl-C stops it.');
  return stack.move();
}

const webSocketPort = (port: number): number => port + 100;

/** Before anything is started. Throws `CONFIG_INVALID`. */
async function requireFree(ports: readonly number[]): Promise<void> {
  for (const port of ports)
    if (!(await isFreePort(port)))
      throw new PlatformError(
        'CONFIG_INVALID',
        `Cannot start: somebody listens on port ${port}; choose another PORT, or end what listens there`,
      );
}

try {
  await runService(start);
} catch (error) {
  tellRefusal(error);
}
