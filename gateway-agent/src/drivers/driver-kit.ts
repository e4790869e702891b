import { deepEqual, equal } from 'node:assert/strict';
import type { Server } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import { PlatformError } from '@domicile/core/errors.ts';
import { parseBuildingId } from '@domicile/core/identities.ts';
import { createLog } from '@domicile/runtime/log.ts';
import { Registry } from 'prom-client';
import { createAgentEvents } from '../events.ts';
import { testBuilding } from '../test-agent.ts';
import type { Driver, DriverHost, ListenAt, Taken } from './driver.ts';
import { listenHere, portOf } from './listen.ts';

/** A host whose store does what the test says. */
export class TestHost implements DriverHost {
  readonly registry = new Registry();
  readonly building = parseBuildingId(testBuilding);
  readonly log = createLog('gateway-agent', { write: () => undefined });
  readonly events = createAgentEvents(this.registry, this.log);
  readonly taken: Taken[] = [];
  readonly statuses: string[] = [];
  readonly failures: unknown[] = [];
  readonly reached: string[] = [];
  /** Names under which sockets were asked for. */
  readonly listeners: string[] = [];
  keep: (taken: readonly Taken[]) => Promise<void> = async () => undefined;
  readonly now = () => Date.now();
  readonly fail = (error: unknown) => void this.failures.push(error);

  numbersOf() {
    return {};
  }

  async take(taken: readonly Taken[]): Promise<void> {
    await this.keep(taken);
    this.taken.push(...taken);
  }

  status(device: string, state: string): void {
    this.statuses.push(`${device} ${state}`);
  }

  reachable(device = 'some'): void {
    this.reached.push(device);
  }

  listen(name: string, at: ListenAt): Promise<Server> {
    this.listeners.push(name);
    return listenHere(at);
  }

  /** Messages that the driver counted as refused, by code. */
  async refused(): Promise<Record<string, number>> {
    const metric = await this.registry.getSingleMetric('gateway_driver_refused_total')?.get();
    return Object.fromEntries(
      (metric?.values ?? []).map(({ labels, value }) => [String(labels['code']), value]),
    );
  }

  get payloads(): string[] {
    return this.taken.map(({ payload }) => Buffer.from(payload).toString());
  }
}

/** How a device of one driver behaves in the kit. */
export interface DeviceUnderTest extends AsyncDisposable {
  /** Sends one payload; true when the driver answered that it is kept, false when it refused. */
  readonly send: (payload: string) => Promise<boolean>;
}

export interface DriverUnderTest {
  readonly name: string;
  readonly start: (host: DriverHost) => Promise<Driver>;
  /** A device `r101-air` that reaches the driver. */
  readonly device: (driver: Driver) => Promise<DeviceUnderTest>;
}

/** One promise that every driver which takes readings from devices must keep. */
export interface DriverPromise {
  readonly promise: string;
  readonly prove: (driver: DriverUnderTest) => Promise<void>;
}

const reading = JSON.stringify({ values: { co2: 612 } });

export const driverPromises: readonly DriverPromise[] = [
  {
    promise: 'a reading is answered only when it is on disk',
    prove: async ({ start, device }) => {
      const host = new TestHost();
      const disk = Promise.withResolvers<void>();
      host.keep = () => disk.promise;
      await using driver = await start(host);
      await using sender = await device(driver);
      let answered = false;
      const sent = sender.send(reading).finally(() => (answered = true));
      await wait(100);
      equal(answered, false);
      disk.resolve();
      equal(await sent, true);
      deepEqual(host.payloads, [reading]);
      equal(host.taken[0]?.device, 'r101-air');
    },
  },
  {
    promise: 'what the store refuses is refused to the device, and nothing else is',
    prove: async ({ start, device }) => {
      const host = new TestHost();
      host.keep = async () => {
        throw new PlatformError('STORE_FULL', 'Cannot keep readings: the store is full');
      };
      await using driver = await start(host);
      await using sender = await device(driver);
      equal(await sender.send(reading), false);
      host.keep = async () => undefined;
      equal(await sender.send(reading), true);
      deepEqual(host.payloads, [reading]);
      deepEqual(host.failures, []);
    },
  },
  {
    promise: 'a stop answers what was begun',
    prove: async ({ start, device }) => {
      const host = new TestHost();
      const disk = Promise.withResolvers<void>();
      host.keep = () => disk.promise;
      const driver = await start(host);
      await using sender = await device(driver);
      const sent = sender.send(reading);
      await wait(100);
      const stopped = driver[Symbol.asyncDispose]();
      disk.resolve();
      equal(await sent, true);
      await stopped;
      deepEqual(host.payloads, [reading]);
    },
  },
  {
    promise: 'a number of its own goes up as it came, and who has none gets none here',
    prove: async ({ start, device }) => {
      const host = new TestHost();
      await using driver = await start(host);
      await using sender = await device(driver);
      const numbered = JSON.stringify({ boot: 'b1', seq: 7, at: 1, values: { co2: 612 } });
      for (const payload of [numbered, reading]) equal(await sender.send(payload), true);
      deepEqual(host.payloads, [numbered, reading]);
    },
  },
  {
    promise: 'what cannot be read harms no other, whether it is refused or kept for quarantine',
    prove: async ({ start, device }) => {
      const host = new TestHost();
      await using driver = await start(host);
      await using other = await device(driver);
      await using sender = await device(driver);
      for (const payload of ['{', '[]', '{"values":{"co2":{}}}', '\u0000', 'x'.repeat(1000)]) {
        const isKept = await sender.send(payload);
        equal(host.payloads.includes(payload), isKept);
        equal(await other.send(reading), true);
      }
      equal(await sender.send(reading), true);
      deepEqual(host.failures, []);
    },
  },
  {
    promise: 'after a stop a new start takes the device again',
    prove: async ({ start, device }) => {
      const host = new TestHost();
      for (const round of [1, 2, 3]) {
        await using driver = await start(host);
        await using sender = await device(driver);
        equal(await sender.send(reading), true);
        equal(host.payloads.length, round);
      }
    },
  },
  {
    promise: 'its socket comes from its host, who may have had it before',
    prove: async ({ name, start, device }) => {
      const host = new TestHost();
      const listener = await listenHere({ host: '127.0.0.1', port: 0 });
      host.listen = async (of) => {
        host.listeners.push(of);
        return listener;
      };
      const driver = await start(host);
      await using sender = await device(driver);
      equal(await sender.send(reading), true);
      equal(driver.port, portOf(listener));
      deepEqual(host.listeners, [name.split(' ')[0]]);
      await driver[Symbol.asyncDispose]();
      equal(listener.listening, false);
    },
  },
];
