import { execFile } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { defaultCacheDir } from './cache-dir.ts';
import { helmPath, type HelmVersion } from './kube/kube-tools.ts';

const helmTimeoutMs = 180_000;
const outputBytesMax = 64 * 1024 * 1024;

/** What Helm printed; `status` is 0 if it succeeded. */
export interface HelmOutcome {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface HelmOptions {
  /** Default 4. */
  readonly version?: HelmVersion;
  /** A file; absent: it sees no cluster. */
  readonly kubeconfig?: string;
}

/** Runs Helm by itself: it sees neither another cluster nor the configuration of whoever runs it. */
export async function runHelm(
  parameters: readonly string[],
  { version = 4, kubeconfig }: HelmOptions = {},
): Promise<HelmOutcome> {
  const file = await helmPath(version);
  const home = join(defaultCacheDir, `tools/home-helm-${version}`);
  const env = {
    HOME: home,
    TMPDIR: tmpdir(),
    HELM_CACHE_HOME: join(home, 'cache'),
    HELM_CONFIG_HOME: join(home, 'config'),
    HELM_DATA_HOME: join(home, 'data'),
    KUBECONFIG: kubeconfig ?? join(home, 'no-cluster'),
  };
  return new Promise((resolve, reject) => {
    const options = { env, timeout: helmTimeoutMs, maxBuffer: outputBytesMax };
    execFile(file, parameters, options, (error, stdout, stderr) => {
      if (error && typeof error.code !== 'number') reject(error);
      else resolve({ status: Number(error?.code ?? 0), stdout, stderr });
    });
  });
}
