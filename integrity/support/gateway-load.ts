import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { until } from './api.ts';
import { BucketFiles } from './bucket-files.ts';
import { Fleet } from './fleet.ts';
import { queryLanding } from './independent-lake.ts';
import { judgeLedger, type Verdict } from './ledger.ts';
import type { OnboardedCountry } from './onboarded-country.ts';

const devices = Array.from({ length: 10 }, (_, room) => `r1${`${room + 1}`.padStart(2, '0')}-air`);
const perSecond = 40;

/** Devices of a building that publish all the time, by mutual TLS and QoS 1, from a process of their own. */
export async function loadOf(up: OnboardedCountry, building: string): Promise<Fleet> {
  const boot = `load-${Date.now()}`;
  const fleet = new Fleet({
    url: await up.mqtts(),
    building,
    devices,
    boot,
    perSecond,
    connections: 2,
    ledgerFile: join(up.dir, `${boot}.ledger`),
    tls: await up.gatewayOf(building),
  });
  await until('devices to be acked', async () => fleet.acked().length, { fits: (n) => n > 0 });
  return fleet;
}

/** What was acked against what DuckDB finds in the landing bucket, once all that was under way has landed. */
export async function judge(up: OnboardedCountry, fleet: Fleet): Promise<Verdict> {
  await fleet.stop();
  return until('what was acked to land', () => compare(up, fleet), {
    fits: ({ missing }) => missing === 0,
    timeoutMs: 90_000,
  });
}

async function compare(up: OnboardedCountry, fleet: Fleet): Promise<Verdict> {
  // It waits for minutes before it makes a file, and makes one at once when it ends.
  await up.renew('lander');
  return judgeLedger(fleet, await landedCopy(up));
}

/** Rows of the landing bucket as they lie there now, by DuckDB. */
export async function landedOf(
  up: OnboardedCountry,
  { query }: { readonly query: string },
): Promise<Record<string, string | number | null>[]> {
  return queryLanding(await landedCopy(up), query);
}

async function landedCopy(up: OnboardedCountry): Promise<string> {
  const folder = join(up.dir, 'copy');
  await mkdir(folder, { recursive: true });
  const files = await BucketFiles.open(up.country.buckets);
  await files.copy(up.buckets.landing, folder);
  return folder;
}
