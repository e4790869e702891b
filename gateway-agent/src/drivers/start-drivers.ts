import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PlatformError } from '@domicile/core/errors.ts';
import { parse } from 'yaml';
import { z } from 'zod';
import type { DriversConfig } from './driver-settings.ts';
import type { Driver, DriverHost } from './driver.ts';

/** Devices come to drivers that listen; the others go to their devices, or have none. */
export type WhichDrivers = 'all' | 'listening' | 'polling';

/** Starts the drivers that are configured. If one cannot start, those that did are stopped. Throws `CONFIG_INVALID`. */
export async function startDrivers(
  config: DriversConfig,
  dataDirectory: string,
  host: DriverHost,
  which: WhichDrivers = 'all',
): Promise<Driver[]> {
  await using stack = new AsyncDisposableStack();
  const drivers: Driver[] = [];
  const starts = [
    ...(which === 'polling' ? [] : listening(config, dataDirectory, host)),
    ...(which === 'listening' ? [] : polling(config, dataDirectory, host)),
  ];
  for (const start of starts) drivers.push(stack.use(await start()));
  stack.move();
  return drivers;
}

type Start = () => Promise<Driver>;

// A driver is loaded when it is configured: the library of each takes ten megabytes and more.

function listening(
  { mqtt, http }: DriversConfig,
  dataDirectory: string,
  host: DriverHost,
): Start[] {
  const starts: Start[] = [];
  if (mqtt)
    starts.push(async () => {
      const { startMqttDriver } = await import('./mqtt/mqtt-driver.ts');
      const passwords = await secretsIn(mqtt.passwordsFile);
      const directory = join(dataDirectory, 'mqtt');
      return startMqttDriver({ ...mqtt, passwords, directory }, host);
    });
  if (http)
    starts.push(async () => {
      const { startHttpDriver } = await import('./http/http-driver.ts');
      const tokens = await secretsIn(http.tokensFile);
      return startHttpDriver({ ...http, tokens }, host);
    });
  return starts;
}

function polling(
  { modbus, bacnet, replay, simulate }: DriversConfig,
  dataDirectory: string,
  host: DriverHost,
): Start[] {
  const starts: Start[] = [];
  if (modbus)
    starts.push(async () => {
      const { startModbusDriver } = await import('./modbus/modbus-driver.ts');
      return startModbusDriver(modbus, host);
    });
  if (bacnet)
    starts.push(async () => {
      const { startBacnetDriver } = await import('./bacnet/bacnet-driver.ts');
      return startBacnetDriver(bacnet, host);
    });
  if (replay)
    starts.push(async () => {
      const { startReplayDriver } = await import('./replay/replay-driver.ts');
      return startReplayDriver({ ...replay, directory: join(dataDirectory, 'replay') }, host);
    });
  if (simulate)
    starts.push(async () => {
      const { startSimulateDriver } = await import('./simulate/simulate-driver.ts');
      return startSimulateDriver(simulate, join(dataDirectory, 'simulate'), host);
    });
  return starts;
}

const secretsSchema = z.record(z.string(), z.string());

/** A YAML file of names and secrets. */
async function secretsIn(path: string | undefined): Promise<Record<string, string> | undefined> {
  if (path === undefined) return undefined;
  const text = await readFile(path, 'utf8').catch((cause: unknown) => {
    throw new PlatformError('CONFIG_INVALID', `Cannot read ${path}`, { cause });
  });
  const secrets = secretsSchema.safeParse(parse(text));
  if (secrets.success) return secrets.data;
  throw new PlatformError(
    'CONFIG_INVALID',
    `Cannot read ${path}: expected lines of the form name: secret`,
  );
}
