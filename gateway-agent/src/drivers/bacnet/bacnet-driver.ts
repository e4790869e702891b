import { type DeviceId, parseDeviceId } from '@domicile/core/identities.ts';
import { startLoop } from '@domicile/runtime/service.ts';
import type { MetricValue } from '../../model/value-rule.ts';
import type { Driver, DriverHost } from '../driver.ts';
import { PollLoop, polledReading } from '../poll-loop.ts';
import { BacnetChannel, BacnetRefusal, type Notice } from './bacnet-channel.ts';
import { BacnetPoints } from './bacnet-point.ts';
import type { BacnetDevice, BacnetSettings } from './bacnet-settings.ts';

/** Asks BACnet/IP devices for present values, takes their changes of value, and sets what commands may set. */
export async function startBacnetDriver(
  settings: BacnetSettings,
  host: DriverHost,
): Promise<Driver> {
  const { host: address, port, timeoutMs } = settings;
  const channel = await BacnetChannel.open({ host: address, port, timeoutMs, fail: host.fail });
  const notices = new Notices(host);
  channel.onNotice((notice) => void notices.take(notice));
  const devices = new Map(
    settings.devices.map((device): [DeviceId, Device] => [
      parseDeviceId(device.device),
      new Device(device, settings, { channel, host, notices }),
    ]),
  );
  return {
    name: 'bacnet',
    drives: (device) => devices.get(device)?.takesCommands ?? false,
    apply: async ({ device, set }) =>
      (await devices.get(device)?.set(set)) ?? { state: 'failed', reason: 'no such device' },
    async [Symbol.asyncDispose]() {
      const stopped = [...devices.values()].map((device) => device[Symbol.asyncDispose]());
      // What waits for an answer hears that there is none.
      channel[Symbol.dispose]();
      await Promise.all(stopped);
    },
  };
}

interface DeviceParts {
  readonly channel: BacnetChannel;
  readonly host: DriverHost;
  readonly notices: Notices;
}

class Device implements AsyncDisposable {
  readonly #id: DeviceId;
  readonly #settings: BacnetDevice;
  readonly #lifetimeSeconds: number;
  readonly #parts: DeviceParts;
  readonly #points: BacnetPoints;
  readonly #polls: PollLoop;
  readonly #loop: AsyncDisposable;
  readonly #subscribedMs = new Map<string, number>();

  constructor(device: BacnetDevice, settings: BacnetSettings, parts: DeviceParts) {
    const { maps, retriesMax, backOffMsMax, covLifetimeSeconds } = settings;
    const { channel, host } = parts;
    const { address, map, objects, every } = device;
    this.#id = parseDeviceId(device.device);
    this.#settings = device;
    this.#lifetimeSeconds = covLifetimeSeconds;
    this.#parts = parts;
    const all = { ...(map !== undefined && maps[map]), ...objects };
    this.#points = new BacnetPoints({
      device: this.#id,
      address,
      map: all,
      retriesMax,
      channel,
      host,
    });
    this.#polls = new PollLoop({
      name: 'bacnet',
      host,
      backOffMsMax,
      devices: [{ device: this.#id, everyMs: every, read: () => this.#read() }],
    });
    this.#loop = startLoop((signal) => this.#polls.run(signal), host.fail);
  }

  get takesCommands(): boolean {
    return this.#points.isSettable && this.#polls.isThere(this.#id);
  }

  async set(wanted: Parameters<BacnetPoints['set']>[0]) {
    const outcome = await this.#polls.inTurn(() => this.#points.set(wanted));
    this.#polls.soon(this.#id);
    return outcome;
  }

  async #read(): Promise<Record<string, MetricValue>> {
    const values = await this.#points.read();
    if (this.#settings.cov !== 'none') await this.#subscribe();
    return values;
  }

  /** Renewed in time; what a device does not offer is told once, and it is only asked. */
  async #subscribe(): Promise<void> {
    const { channel, host, notices } = this.#parts;
    const { address, cov } = this.#settings;
    for (const [metric, object] of this.#points.entries) {
      const renewMs = (this.#subscribedMs.get(metric) ?? -Infinity) + this.#lifetimeSeconds * 500;
      if (host.now() < renewMs) continue;
      const id = notices.idOf(`${this.#id} ${metric}`, {
        address,
        device: this.#id,
        object: object.object.id,
        read: (told) => {
          const value = this.#points.meaningOf(metric, object, told);
          return value === undefined ? undefined : { [metric]: value };
        },
      });
      const isConfirmed = cov === 'confirmed';
      try {
        await this.#points.patiently(() =>
          channel.subscribe(address, object.object.id, {
            id,
            isConfirmed,
            lifetimeSeconds: this.#lifetimeSeconds,
          }),
        );
        this.#subscribedMs.set(metric, host.now());
      } catch (error) {
        if (!(error instanceof BacnetRefusal)) throw error;
        this.#points.complain(metric, `changes of value: ${error.message}`);
        this.#subscribedMs.set(metric, Infinity);
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#loop[Symbol.asyncDispose]();
  }
}

interface Subscription {
  readonly address: string;
  readonly device: DeviceId;
  readonly object: { readonly type: number; readonly instance: number };
  readonly read: (told: unknown) => Record<string, MetricValue> | undefined;
}

/** Notices that are being kept at once; beyond, a device is not answered and tries again. */
const noticesMax = 1000;

/** Changes of value on their way to the disk. */
class Notices {
  readonly #host: DriverHost;
  readonly #ids = new Map<string, number>();
  readonly #subscriptions = new Map<number, Subscription>();
  readonly #keeping = new Set<string>();
  #places = 0;

  constructor(host: DriverHost) {
    this.#host = host;
  }

  idOf(name: string, subscription: Subscription): number {
    const id = this.#ids.get(name) ?? this.#ids.size + 1;
    this.#ids.set(name, id);
    this.#subscriptions.set(id, subscription);
    return id;
  }

  /** A confirmed notice is confirmed when it is on disk. A repeat of one that is being kept waits for it. */
  async take(notice: Notice): Promise<void> {
    const { address, invokeId, presentValue, confirm } = notice;
    const subscription = this.#subscriptionOf(notice);
    const place = invokeId === undefined ? `${(this.#places += 1)}` : `${address} ${invokeId}`;
    if (this.#keeping.has(place)) return;
    if (!subscription || this.#keeping.size >= noticesMax) {
      this.#refused(subscription ? 'notices' : 'notice');
      return;
    }
    const values = subscription.read(presentValue);
    this.#keeping.add(place);
    try {
      if (values) {
        await this.#host.take([polledReading(subscription.device, this.#host.now(), values)]);
        this.#host.events.readingTaken('bacnet', 1);
      }
      confirm?.();
    } catch {
      // The device tells it again, or the next question finds it.
      this.#refused('store');
    } finally {
      this.#keeping.delete(place);
    }
  }

  #subscriptionOf({ subscription: id, address, object }: Notice): Subscription | undefined {
    const subscription = this.#subscriptions.get(id);
    const isOurs =
      subscription?.address === address &&
      subscription.object.type === object.type &&
      subscription.object.instance === object.instance;
    return isOurs ? subscription : undefined;
  }

  #refused(code: string): void {
    this.#host.events.readingRefused('bacnet', code);
  }
}
