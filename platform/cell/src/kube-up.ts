/** `make kube-up COUNTRY=de`: starts a country's cluster, waits until it is ready, says where everything is, and leaves it running. */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, existsSync, openSync } from 'node:fs';
import { mkdir, open, readFile, rm } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { PlatformError } from '@domicile/core/errors.ts';
import { installControlPlane } from '@domicile/devkit/kube/kube-install.ts';
import { kubeTools } from '@domicile/devkit/kube/kube-tools.ts';
import { readKubeConfig } from './config.ts';
import { holderOf, type KubePlaces, placesOf, readyFile } from './kube-places.ts';
import { upSchema } from './kube-values.ts';
import { writePrivate } from './secrets.ts';

const mebibytesNeeded = { 1: 2_500, 3: 3_000 };
const startTimeoutMs = 300_000;
const pollMs = 200;
const supervisor = join(import.meta.dirname, 'kube-supervisor.ts');
const near = (path: string): string => relative(process.cwd(), path);
const say = (text: string): void => void process.stdout.write(`${text}\n`);

async function up(): Promise<void> {
  const { COUNTRY, KUBE_BROKERS } = readKubeConfig();
  const places = placesOf(COUNTRY);
  const holder = holderOf(places);
  if (holder !== undefined)
    throw new PlatformError(
      'CONFLICT',
      `Cannot start: the cluster of ${COUNTRY.toUpperCase()} is up already, as process ${holder}; make kube-down COUNTRY=${COUNTRY} ends it`,
    );
  await requireMemory(mebibytesNeeded[KUBE_BROKERS]);
  await installControlPlane();
  await kubeTools();
  const child = await startSupervisor(places);
  await untilReady(child, places);
  child.unref();
  await tell(COUNTRY, places);
}

/** For the cluster and a cell of two buildings in it. */
async function requireMemory(needed: number): Promise<void> {
  const memory = await readFile('/proc/meminfo', 'utf8').catch(() => '');
  const available = Number(/^MemAvailable:\s+(\d+)/m.exec(memory)?.[1] ?? Infinity) / 1024;
  if (available >= needed) return;
  throw new PlatformError(
    'STORE_FULL',
    `Cannot start: ${Math.round(available)} MiB of memory are free and ${needed} MiB are needed; KUBE_BROKERS=1 needs less`,
  );
}

/** It is of a session of its own, and its output goes to a file: this process may end. */
async function startSupervisor({ dir, logFile, pidFile }: KubePlaces): Promise<ChildProcess> {
  await mkdir(dirname(logFile), { recursive: true });
  // An earlier one may have left its own.
  await rm(join(dir, readyFile), { force: true });
  const log = openSync(logFile, 'w');
  const child = spawn(process.execPath, ['--enable-source-maps', supervisor], {
    detached: true,
    stdio: ['ignore', log, log],
  });
  closeSync(log);
  await writePrivate(pidFile, `${child.pid}`);
  return child;
}

async function untilReady(child: ChildProcess, { dir, logFile }: KubePlaces): Promise<void> {
  const file = await open(logFile, 'r');
  let position = 0;
  const tellMore = async (): Promise<void> => {
    const { bytesRead, buffer } = await file.read({ position });
    position += bytesRead;
    const lines = buffer.toString('utf8', 0, bytesRead).trimEnd();
    if (lines !== '') say(lines.replaceAll(/^/gm, '… '));
  };
  try {
    for (const deadline = Date.now() + startTimeoutMs; Date.now() < deadline;) {
      await sleep(pollMs);
      await tellMore();
      if (existsSync(join(dir, readyFile))) return;
      if (child.exitCode === null && child.signalCode === null) continue;
      await tellMore();
      throw new PlatformError('UPSTREAM_UNAVAILABLE', `Cannot start: see ${logFile}`);
    }
    child.kill('SIGTERM');
    throw new PlatformError(
      'UPSTREAM_UNAVAILABLE',
      `Cannot start within ${startTimeoutMs / 1000} s: see ${logFile}`,
    );
  } finally {
    await file.close();
  }
}

async function tell(country: string, { dir }: KubePlaces): Promise<void> {
  const upFile = join(dir, 'up.json');
  const { kubeconfig, kubectl, helm3, ...file } = upSchema.parse(
    JSON.parse(await readFile(upFile, 'utf8')),
  );
  const install = (chart: string, namespace: string, rest = '') =>
    `  helm install domicile-${chart} charts/domicile-${chart} -n ${namespace} -f ${near(join(dir, `${chart}.values.yaml`))}${rest}`;
  say(`
The cluster of ${country.toUpperCase()} is up. Nothing of Domicile is installed in it. Type:

  export KUBECONFIG=${kubeconfig}
  export PATH=${dirname(kubectl)}:$PATH      # kubectl 1.36.3 and helm 4.2.3; helm 3.17.3: ${near(helm3)}
${install('operator', 'domicile-system', ' --wait')}
${install('cell', 'domicile-system')}
${install('buildings', 'domicile-buildings')}
  kubectl get cells,buildings -A

Kafka        ${file.kafka}
Buckets      ${file.buckets}
Issuer       ${file.issuer}
Logs of pods ${near(file.podLogs)}/{namespace}/{pod}/{container}.log
Tokens, log-ins and paths: ${near(upFile)}
make kube-down COUNTRY=${country} ends it.`);
}

try {
  await up();
} catch (error) {
  if (!(error instanceof PlatformError)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
}
