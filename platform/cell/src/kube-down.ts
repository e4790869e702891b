/** `make kube-down COUNTRY=de`: ends a country's cluster. What it wrote stays until the next start, to be looked at. */
import { rm } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { readKubeConfig } from './config.ts';
import { holderOf, placesOf } from './kube-places.ts';

const endTimeoutMs = 60_000;
const pollMs = 100;
const say = (text: string): void => void process.stdout.write(`${text}\n`);

const { COUNTRY } = readKubeConfig();
const places = placesOf(COUNTRY);
const holder = holderOf(places);
if (holder === undefined) {
  // Its processes end with it, also when it was killed.
  await rm(places.pidFile, { force: true });
  say(`No cluster of ${COUNTRY.toUpperCase()} is up.`);
} else {
  process.kill(holder, 'SIGTERM');
  for (const deadline = Date.now() + endTimeoutMs; Date.now() < deadline; await sleep(pollMs))
    if (holderOf(places) === undefined) break;
  const isLate = holderOf(places) !== undefined;
  if (isLate) process.kill(holder, 'SIGKILL');
  await rm(places.pidFile, { force: true });
  say(
    `The cluster of ${COUNTRY.toUpperCase()} has ended${isLate ? ', killed: it did not end by itself' : ''}.`,
  );
}
