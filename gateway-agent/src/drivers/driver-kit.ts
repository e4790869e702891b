import { PlatformError } from '@domicile/core/errors.ts';
import { parseBuildingId } from '@domicile/core/identities.ts';
import { createLog } from '@domicile/runtime/log.ts';
import { Registry } from 'prom-client';
import { expect, test } from 'vitest';
import { createAgentEvents } from '../events.ts';
import { testBuilding } from '../test-agent.ts';
import type { Driver, DriverHost, Taken } from './driver.ts';

/** A host whose store does what the test says. */
export class TestHost implements DriverHost {
  readonly building = parseBuildingId(testBuilding);
  readonly log = createLog('gateway-agent', { write: () => undefined });
  readonly events = createAgentEvents(new Registry(), this.log);
  readonly taken: Taken[] = [];
  readonly statuses: string[] = [];
  readonly failures: unknown[] = [];
  keep: () => Promise<void> = async () => undefined;
  readonly now = () => Date.now();
  readonly fail = (error: unknown) => void this.failures.push(error);

  numbersOf() {
    return {};
  }

  async take(taken: readonly Taken[]): Promise<void> {
    await this.keep();
    this.taken.push(...taken);
  }

  status(device: string, state: string): void {
    this.statuses.push(`${device} ${state}`);
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

/** What every driver that takes readings from devices must keep to. */
export function registerDriverKit({ name, start, device }: DriverUnderTest): void {
  const reading = JSON.stringify({ values: { co2: 612 } });

  test(`${name}: a reading is answered only when it is on disk`, async () => {
    const host = new TestHost();
    const disk = Promise.withResolvers<void>();
    host.keep = () => disk.promise;
    await using driver = await start(host);
    await using sender = await device(driver);
    let answered = false;
    const sent = sender.send(reading).finally(() => (answered = true));
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(answered).toBe(false);
    disk.resolve();
    expect(await sent).toBe(true);
    expect(host.payloads).toEqual([reading]);
    expect(host.taken[0]?.device).toBe('r101-air');
  });

  test(`${name}: what the store refuses is refused to the device, and nothing else is`, async () => {
    const host = new TestHost();
    host.keep = async () => {
      throw new PlatformError('STORE_FULL', 'Cannot keep readings: the store is full');
    };
    await using driver = await start(host);
    await using sender = await device(driver);
    expect(await sender.send(reading)).toBe(false);
    host.keep = async () => undefined;
    expect(await sender.send(reading)).toBe(true);
    expect(host.payloads).toEqual([reading]);
    expect(host.failures).toEqual([]);
  });

  test(`${name}: a stop answers what was begun`, async () => {
    const host = new TestHost();
    const disk = Promise.withResolvers<void>();
    host.keep = () => disk.promise;
    const driver = await start(host);
    await using sender = await device(driver);
    const sent = sender.send(reading);
    await new Promise((resolve) => setTimeout(resolve, 100));
    const stopped = driver[Symbol.asyncDispose]();
    disk.resolve();
    expect(await sent).toBe(true);
    await stopped;
    expect(host.payloads).toEqual([reading]);
  });
}
