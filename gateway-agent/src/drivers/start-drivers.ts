import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parse } from 'yaml';
import { z } from 'zod';
import type { DriversConfig } from './driver-settings.ts';
import type { Driver, DriverHost } from './driver.ts';
import { startHttpDriver } from './http/http-driver.ts';
import { startMqttDriver } from './mqtt/mqtt-driver.ts';
import { startReplayDriver } from './replay/replay-driver.ts';

/** Starts the drivers that are configured. If one cannot start, those that did are stopped. */
export async function startDrivers(
  config: DriversConfig,
  dataDirectory: string,
  host: DriverHost,
): Promise<Driver[]> {
  await using stack = new AsyncDisposableStack();
  const drivers: Driver[] = [];
  const { mqtt, http, replay } = config;
  if (mqtt) {
    const passwords = await secretsIn(mqtt.passwordsFile);
    drivers.push(stack.use(await startMqttDriver({ ...mqtt, passwords }, host)));
  }
  if (http) {
    const tokens = await secretsIn(http.tokensFile);
    drivers.push(stack.use(await startHttpDriver({ ...http, tokens }, host)));
  }
  if (replay) {
    const directory = join(dataDirectory, 'replay');
    drivers.push(stack.use(await startReplayDriver({ ...replay, directory }, host)));
  }
  stack.move();
  return drivers;
}

/** A YAML file of names and secrets. */
async function secretsIn(path: string | undefined): Promise<Record<string, string> | undefined> {
  if (path === undefined) return undefined;
  return z.record(z.string(), z.string()).parse(parse(await readFile(path, 'utf8')));
}
