/**
 * Devices in a process of their own: they publish numbered readings at a rate, and write each ack that they get into a
 * ledger on disk, synced. Without an ack a reading is sent again, on a new connection if need be.
 *
 * Arguments: one JSON of `FleetOrder`. It ends on SIGTERM, after the ledger is written.
 */
import { open, readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { connectAsync, type MqttClient } from 'mqtt';

export interface FleetOrder {
  readonly url: string;
  /** `{building}` of the topics; devices publish under `v1/{building}/{device}/telemetry`. */
  readonly building: string;
  readonly devices: readonly string[];
  readonly boot: string;
  readonly perSecond: number;
  readonly connections: number;
  readonly ledgerFile: string;
  readonly username?: string;
  readonly password?: string;
  /** Mutual TLS: paths of PEM files. */
  readonly tls?: {
    readonly ca: string;
    readonly cert: string;
    readonly key: string;
    readonly servername: string;
  };
}

const tickMs = 20;
const windowMax = 400;
const retryDelayMs = 100;
const syncEveryMs = 20;

interface Message {
  readonly device: string;
  readonly seq: number;
  /** When it was measured, also if it is sent again. */
  readonly at: number;
}

const order: FleetOrder = JSON.parse(process.argv[2] ?? '{}');
const stop = new AbortController();
process.once('SIGTERM', () => stop.abort());
const secured = order.tls && {
  ca: await readFile(order.tls.ca),
  cert: await readFile(order.tls.cert),
  key: await readFile(order.tls.key),
  servername: order.tls.servername,
};
const ledger = await open(order.ledgerFile, 'a');
let unwritten: string[] = [];
const nextSeq = new Map(order.devices.map((device) => [device, 0]));

async function writeLedger(): Promise<void> {
  while (!stop.signal.aborted || unwritten.length > 0) {
    const lines = unwritten;
    unwritten = [];
    if (lines.length > 0) {
      await ledger.write(lines.join(''));
      await ledger.datasync();
    }
    await sleep(syncEveryMs);
  }
}

function payloadOf({ device, seq, at }: Message): string {
  const value = device.endsWith('-air')
    ? { temperature: 20 + (seq % 50) / 10 }
    : device.endsWith('-light')
      ? { illuminance: seq % 1000 }
      : device.endsWith('-door')
        ? { open: seq % 2 === 0 }
        : { occupied: seq % 2 === 0 };
  return JSON.stringify({ boot: order.boot, seq, at, values: value });
}

/** One connection and its devices: what is not acked when it breaks is sent again on the next one. */
async function runConnection(devices: readonly string[], perSecond: number): Promise<void> {
  const pending = new Map<string, Message>();
  let turn = 0;
  let budget = 0;
  while (!stop.signal.aborted) {
    let client: MqttClient;
    try {
      client = await connectAsync(order.url, {
        reconnectPeriod: 0,
        connectTimeout: 2_000,
        ...secured,
        ...(order.username !== undefined && { username: order.username }),
        ...(order.password !== undefined && { password: order.password }),
      });
    } catch {
      await sleep(retryDelayMs);
      continue;
    }
    client.on('error', () => {});
    const publish = (message: Message): void => {
      const topic = `v1/${order.building}/${message.device}/telemetry`;
      client.publish(topic, payloadOf(message), { qos: 1 }, (error) => {
        if (error) return;
        pending.delete(`${message.device} ${message.seq}`);
        unwritten.push(`${message.device} ${message.seq}\n`);
      });
    };
    for (const message of pending.values()) publish(message);
    let last = performance.now();
    while (client.connected && !stop.signal.aborted) {
      const now = performance.now();
      budget = Math.min(budget + ((now - last) / 1000) * perSecond, windowMax);
      last = now;
      for (; budget >= 1 && pending.size < windowMax; budget -= 1) {
        const device = devices[turn % devices.length] ?? '';
        turn += 1;
        const seq = nextSeq.get(device) ?? 0;
        nextSeq.set(device, seq + 1);
        const message = { device, seq, at: Date.now() };
        pending.set(`${device} ${seq}`, message);
        publish(message);
      }
      await sleep(tickMs);
    }
    await client.endAsync(true).catch(() => {});
  }
}

const share = order.perSecond / order.connections;
const groups = Array.from({ length: order.connections }, (_, index) =>
  order.devices.filter((_device, at) => at % order.connections === index),
);
await Promise.all([writeLedger(), ...groups.map((devices) => runConnection(devices, share))]);
await ledger.close();
