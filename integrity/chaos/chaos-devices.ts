/**
 * The devices of one building in a process of their own, on the building's network. Each numbers its readings and sends the
 * next one only when the last was acked, so the order of its numbers is the order of its sending. Acks and commands go
 * into ledgers on disk, synced; a command is written down before it is answered.
 *
 * Argument: one JSON of `ChaosDevicesOrder`. SIGTERM ends it after the ledgers are written. Its clocks are off by
 * what the skew file says, in milliseconds.
 */
import { open, readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { connectAsync, type MqttClient } from 'mqtt';

export interface ChaosDevicesOrder {
  /** Of the building's gateway; each connection has a few of the devices. */
  readonly url: string;
  readonly building: string;
  readonly sensors: readonly string[];
  readonly thermostats: readonly string[];
  readonly boot: string;
  /** Between two readings of a device. */
  readonly everyMs: number;
  readonly connections: number;
  /** `device seq` a line: what was acked. */
  readonly ackLedger: string;
  /** `id device` a line: each command each time it arrives. */
  readonly commandLedger: string;
  readonly skewFile: string;
}

const retryMs = 200;
const answerTimeoutMs = 10_000;
const syncEveryMs = 20;
const skewEveryMs = 500;

const order: ChaosDevicesOrder = JSON.parse(process.argv[2] ?? '{}');
const stop = new AbortController();
process.once('SIGTERM', () => stop.abort());
/** Also for who asks after it came: a line may connect just then. */
const stopped = new Promise<void>((resolve) => {
  stop.signal.addEventListener('abort', () => resolve(), { once: true });
});
let skewMs = 0;

class Ledger {
  readonly #file: Awaited<ReturnType<typeof open>>;
  #lines: string[] = [];
  #written = Promise.withResolvers<void>();

  constructor(file: Awaited<ReturnType<typeof open>>) {
    this.#file = file;
  }

  /** Resolves when it is on disk. */
  add(line: string): Promise<void> {
    this.#lines.push(`${line}\n`);
    return this.#written.promise;
  }

  async run(): Promise<void> {
    while (!stop.signal.aborted || this.#lines.length > 0) {
      const [lines, written] = [this.#lines, this.#written];
      this.#lines = [];
      this.#written = Promise.withResolvers();
      if (lines.length > 0) {
        await this.#file.write(lines.join(''));
        await this.#file.datasync();
      }
      written.resolve();
      await sleep(syncEveryMs);
    }
    await this.#file.close();
  }
}

const acks = new Ledger(await open(order.ackLedger, 'a'));
const commands = new Ledger(await open(order.commandLedger, 'a'));

/** One connection to the gateway, made again as often as it breaks. */
class Line {
  readonly #thermostats: readonly string[];
  #client: MqttClient | undefined;

  constructor(thermostats: readonly string[]) {
    this.#thermostats = thermostats;
  }

  async run(): Promise<void> {
    while (!stop.signal.aborted) {
      const client = await connectAsync(order.url, {
        reconnectPeriod: 0,
        connectTimeout: 2_000,
        keepalive: 5,
      }).catch(() => undefined);
      if (client) await this.#serve(client);
      await sleep(retryMs);
    }
  }

  async #serve(client: MqttClient): Promise<void> {
    const closed = new Promise<void>((resolve) => {
      client.once('close', () => resolve());
    });
    client.on('error', () => {});
    client.on('message', (topic, payload) => void this.#obey(client, topic, payload));
    const filters = this.#thermostats.map((device) => `v1/${order.building}/${device}/commands/+`);
    if (filters.length > 0)
      await Promise.race([client.subscribeAsync(filters, { qos: 1 }).catch(() => {}), closed]);
    this.#client = client;
    await Promise.race([closed, stopped]);
    this.#client = undefined;
    client.end(true);
  }

  async #obey(client: MqttClient, topic: string, payload: Buffer): Promise<void> {
    const [, building, device] = topic.split('/');
    const { id } = JSON.parse(payload.toString());
    await commands.add(`${id} ${device}`);
    const state = { id, state: 'applied', at: new Date(Date.now() + skewMs).toISOString() };
    const answer = `v1/${building}/${device}/command-states/${id}`;
    await client.publishAsync(answer, JSON.stringify(state), { qos: 1 }).catch(() => {});
  }

  /** True once the gateway said that it has it. */
  async say(device: string, payload: string): Promise<boolean> {
    const client = this.#client;
    if (!client?.connected) return false;
    const topic = `v1/${order.building}/${device}/telemetry`;
    const acked = client.publishAsync(topic, payload, { qos: 1 }).then(
      () => true,
      () => false,
    );
    const given = new AbortController();
    const late = sleep(answerTimeoutMs, false, { signal: given.signal }).catch(() => false);
    const outcome = await Promise.race([acked, late]);
    given.abort();
    return outcome;
  }
}

async function live(line: Line, device: string): Promise<void> {
  const isThermostat = order.thermostats.includes(device);
  await sleep(Math.random() * order.everyMs);
  for (let seq = 0; !stop.signal.aborted; seq += 1) {
    const values = isThermostat
      ? { target_temperature: 18 + (seq % 8) }
      : { temperature: 20 + (seq % 50) / 10, co2: 400 + (seq % 600) };
    const reading = { boot: order.boot, seq, at: Date.now() + skewMs, values };
    const payload = JSON.stringify(reading);
    while (!stop.signal.aborted && !(await line.say(device, payload))) await sleep(retryMs);
    if (stop.signal.aborted) return;
    await acks.add(`${device} ${seq}`);
    await sleep(order.everyMs);
  }
}

async function followSkew(): Promise<void> {
  while (!stop.signal.aborted) {
    skewMs = Number(await readFile(order.skewFile, 'utf8').catch(() => '0')) || 0;
    await sleep(skewEveryMs);
  }
}

const devices = [...order.sensors, ...order.thermostats];
const groups = Array.from({ length: order.connections }, (_, index) =>
  devices.filter((_device, at) => at % order.connections === index),
);
await Promise.all([
  acks.run(),
  commands.run(),
  followSkew(),
  ...groups.flatMap((group) => {
    const line = new Line(group.filter((device) => order.thermostats.includes(device)));
    return [line.run(), ...group.map((device) => live(line, device))];
  }),
]);
