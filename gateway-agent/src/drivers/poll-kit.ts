import { deepEqual, equal, ok } from 'node:assert/strict';
import { setTimeout as wait } from 'node:timers/promises';
import { PlatformError } from '@domicile/core/errors.ts';
import { parseDeviceId } from '@domicile/core/identities.ts';
import { z } from 'zod';
import { until } from '../test-agent.ts';
import { TestHost } from './driver-kit.ts';
import type { Driver, DriverHost } from './driver.ts';

/** A device in the kit, spoken to from its own side. */
export interface PolledPeer extends AsyncDisposable {
  /** What `r101-meter` measures as `temperature`. */
  readonly measure: (value: number) => Promise<void>;
  /** While it is silent, `r101-meter` answers nothing; `r102-meter` always does. */
  readonly silence: (isSilent: boolean) => Promise<void>;
  /** What `target_temperature` of `r101-meter` was set to. */
  readonly target: () => Promise<number>;
  /** A driver that asks both every 100 ms, with 200 ms for an answer. */
  readonly start: (host: DriverHost) => Promise<Driver>;
}

export interface PollPromise {
  readonly promise: string;
  readonly prove: (peer: PolledPeer) => Promise<void>;
}

const device = parseDeviceId('r101-meter');
const other = parseDeviceId('r102-meter');

const readingSchema = z.strictObject({
  at: z.iso.datetime(),
  timeSource: z.literal('gateway'),
  values: z.record(z.string(), z.unknown()),
});

function readingsOf(host: TestHost, of: string) {
  return host.taken
    .filter((taken) => taken.device === of)
    .map(({ payload }) => readingSchema.parse(JSON.parse(Buffer.from(payload).toString())));
}

const temperatures = (host: TestHost) =>
  readingsOf(host, device).map(({ values }) => values['temperature']);

export const pollPromises: readonly PollPromise[] = [
  {
    promise:
      'a device is asked in its rhythm, with the time of the question and no number of its own',
    prove: async ({ start, measure }) => {
      const host = new TestHost();
      await measure(21.5);
      await using _driver = await start(host);
      await until(
        () => readingsOf(host, device).length >= 3 && readingsOf(host, other).length >= 3,
      );
      equal(temperatures(host)[0], 21.5);
      await measure(22.5);
      await until(() => temperatures(host).at(-1) === 22.5);
      const times = readingsOf(host, device).map(({ at }) => Date.parse(at));
      deepEqual(
        times,
        times.toSorted((left, right) => left - right),
      );
      ok(host.statuses.includes(`${device} online`));
      deepEqual(host.failures, []);
    },
  },
  {
    promise: 'what the store refuses is kept later, and nothing is asked meanwhile',
    prove: async ({ start, measure }) => {
      const host = new TestHost();
      let refusals = 0;
      host.keep = async (taken) => {
        if (taken.some((one) => one.device === device)) refusals += 1;
        throw new PlatformError('STORE_FULL', 'Cannot keep readings: the store is full');
      };
      await measure(21.5);
      await using _driver = await start(host);
      await until(() => refusals === 1);
      await measure(25.5);
      await wait(300);
      equal(refusals, 1);
      host.keep = async () => undefined;
      await until(() => readingsOf(host, device).length >= 2);
      equal(temperatures(host)[0], 21.5);
      ok(((await host.refused())['store-full'] ?? 0) >= 1);
    },
  },
  {
    promise: 'a silent device is offline, others keep their rhythm, and it comes back',
    prove: async ({ start, silence }) => {
      const host = new TestHost();
      await using driver = await start(host);
      await until(() => readingsOf(host, device).length > 0);
      ok(driver.drives(device));
      await silence(true);
      await until(() => host.statuses.includes(`${device} offline`));
      equal(driver.drives(device), false);
      const before = readingsOf(host, other).length;
      await until(() => readingsOf(host, other).length > before + 2);
      await silence(false);
      await until(() => host.statuses.at(-1) === `${device} online`);
      ok(host.reached.includes(device));
      deepEqual(host.failures, []);
    },
  },
  {
    promise: 'a command reaches the device, its state comes back, and what cannot be set is said',
    prove: async ({ start, target }) => {
      const host = new TestHost();
      await using driver = await start(host);
      await until(() => driver.drives(device));
      const apply = (set: Record<string, number | string>) =>
        driver.apply({ id: 'c1', device, set });
      deepEqual(await apply({ target_temperature: 19.5 }), { state: 'applied' });
      equal(await target(), 19.5);
      await until(() => readingsOf(host, device).at(-1)?.values['target_temperature'] === 19.5);
      for (const set of [{}, { temperature: 1 }, { target_temperature: 'warm' }])
        equal((await apply(set)).state, 'failed');
      equal(await target(), 19.5);
    },
  },
  {
    promise: 'a command to a device that has fallen silent is never said to be applied',
    prove: async ({ start, silence }) => {
      const host = new TestHost();
      await using driver = await start(host);
      await until(() => driver.drives(device));
      await silence(true);
      const outcome = await driver.apply({ id: 'c1', device, set: { target_temperature: 23 } });
      ok(outcome.state === 'unknown' || outcome.state === 'failed');
    },
  },
  {
    promise: 'a stop is bounded, also beside a silent device; a new start goes on',
    prove: async ({ start, silence }) => {
      const host = new TestHost();
      const driver = await start(host);
      await until(() => readingsOf(host, device).length > 0);
      await silence(true);
      await wait(50);
      await driver[Symbol.asyncDispose]();
      const taken = host.taken.length;
      await silence(false);
      await wait(300);
      equal(host.taken.length, taken);
      await using _again = await start(host);
      await until(() => host.taken.length > taken);
      deepEqual(host.failures, []);
    },
  },
];
