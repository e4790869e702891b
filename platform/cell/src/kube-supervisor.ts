/** `node kube-supervisor.ts DE`: holds a country's cluster until it is told to end. Started by `kube-up.ts`, which reads its log. */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { PlatformError } from '@domicile/core/errors.ts';
import { runService } from '@domicile/runtime/service.ts';
import { readKubeConfig } from './config.ts';
import { KubeCountry } from './kube-country.ts';
import { networkOf, placesOf, readyFile } from './kube-places.ts';
import { writePrivate } from './secrets.ts';

const { COUNTRY, KUBE_BROKERS } = readKubeConfig();
const { dir, pidFile } = placesOf(COUNTRY);
const say = (text: string): void => void process.stdout.write(`${text}\n`);

/** `SIGUSR2` takes the cluster away: the trial of a recovery. */
async function start(fail: (error: unknown) => void): Promise<AsyncDisposable> {
  const country = await KubeCountry.start({
    country: COUNTRY,
    dir,
    brokers: KUBE_BROKERS,
    network: networkOf(COUNTRY),
    say,
  });
  await writePrivate(join(dir, readyFile), '');
  const lose = (): void => void country.loseCluster().catch(fail);
  process.on('SIGUSR2', lose);
  return {
    async [Symbol.asyncDispose]() {
      process.off('SIGUSR2', lose);
      say('ending');
      await country[Symbol.asyncDispose]();
      await rm(pidFile, { force: true });
      say('ended');
    },
  };
}

try {
  await runService(start);
} catch (error) {
  await rm(pidFile, { force: true });
  if (!(error instanceof PlatformError)) throw error;
  process.stderr.write(`${error.message}\n${error.decision.action}\n`);
  process.exitCode = 1;
}
