/**
 * The control plane for tests and `make kube-up`: etcd, API server, controller manager and scheduler as one binary, built once
 * from the sources in `kube-testcluster/` and kept under `.domicile/cache/`, keyed by those sources and the Go version.
 */
import { execFile, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { PlatformError } from '@domicile/core/errors.ts';
import { must } from '@domicile/core/invariants.ts';
import { defaultCacheDir } from '../cache-dir.ts';

const run = promisify(execFile);
const sources = join(import.meta.dirname, '../../kube-testcluster');
const sourceFiles = ['go.mod', 'go.sum', 'main.go'];
const progressEveryMs = 30_000;
const outputKept = 4_000;

/** The path of the binary. The first call takes minutes and says so on stderr. Safe to call from two processes at once. */
export async function installControlPlane(cacheDir = defaultCacheDir): Promise<string> {
  const files = await Promise.all(sourceFiles.map((name) => readFile(join(sources, name), 'utf8')));
  const module = must(files[0], 'go.mod was read');
  const goVersion = await installedGo(wantedOf(module, /^go (\S+)$/m));
  const flags = buildFlags(wantedOf(module, /^\s*k8s\.io\/kubernetes (v\S+)$/m));
  const hash = createHash('sha256').update(`${goVersion} ${process.arch} ${flags.join(' ')}`);
  for (const file of files) hash.update(file);
  const name = `kube-testcluster-${hash.digest('hex').slice(0, 12)}`;
  const target = resolve(cacheDir, name);
  if (existsSync(target)) return target;
  await mkdir(cacheDir, { recursive: true });
  await build(target, flags);
  return target;
}

function wantedOf(module: string, pattern: RegExp): string {
  return must(pattern.exec(module)?.[1], `go.mod has ${pattern.source}`);
}

/** Without the version the server reports v0.0.0, and Helm refuses charts that name a range of Kubernetes. */
function buildFlags(version: string): string[] {
  const [major = '', minor = ''] = version.slice(1).split('.');
  const settings = { gitVersion: version, gitMajor: major, gitMinor: minor };
  const named = Object.entries(settings).map(
    ([name, value]) => `-X k8s.io/component-base/version.${name}=${value}`,
  );
  return ['-mod=readonly', '-trimpath', '-buildvcs=false', '-ldflags', `-s -w ${named.join(' ')}`];
}

async function installedGo(wanted: string): Promise<string> {
  const { stdout } = await run('go', ['env', 'GOVERSION'], { cwd: sources }).catch(
    (cause: unknown) => {
      throw cannotBuild(`Go ${wanted} or newer is needed and \`go\` could not be run`, cause);
    },
  );
  const version = stdout.trim();
  if (isOlder(version.replace(/^go/, ''), wanted))
    throw cannotBuild(`Go ${wanted} or newer is needed and this is ${version}`);
  return version;
}

function isOlder(version: string, wanted: string): boolean {
  const [own, other] = [version, wanted].map((text) => text.split('.').map(Number));
  for (const [index, part] of must(other, 'a version').entries()) {
    const difference = (own?.[index] ?? 0) - part;
    if (difference !== 0) return difference < 0;
  }
  return false;
}

/** One builder at a time: the lock is the kernel's, so a builder that was killed leaves none behind. */
async function build(target: string, flags: readonly string[]): Promise<void> {
  say('Building the Kubernetes control plane, once: this takes 5 to 15 minutes …');
  const startedAt = Date.now();
  const timer = setInterval(
    () => say(`… still building, ${Math.round((Date.now() - startedAt) / 1000)} s`),
    progressEveryMs,
  );
  const passing = `${target}.${process.pid}`;
  const script = 'test -e "$1" || { shift; out=$1; shift; "$@" && mv "$out" "${out%.*}"; }';
  const command = ['env', 'CGO_ENABLED=0', 'go', 'build', ...flags, '-o', passing, '.'];
  const child = spawn(
    'flock',
    [`${target}.lock`, 'sh', '-c', script, 'sh', target, passing, ...command],
    { cwd: sources, stdio: ['ignore', 'pipe', 'pipe'] },
  );
  let output = '';
  const keep = (chunk: Buffer): void =>
    void (output = `${output}${chunk.toString()}`.slice(-outputKept));
  child.stdout.on('data', keep);
  child.stderr.on('data', keep);
  try {
    await once(child, 'close');
  } finally {
    clearInterval(timer);
  }
  if (!existsSync(target)) throw cannotBuild(`go build ended with ${child.exitCode}:\n${output}`);
  say(`Built in ${Math.round((Date.now() - startedAt) / 1000)} s`);
}

function say(text: string): void {
  process.stderr.write(`${text}\n`);
}

function cannotBuild(why: string, cause?: unknown): PlatformError {
  const text = `Cannot build the Kubernetes control plane: ${why}`;
  return new PlatformError('UPSTREAM_UNAVAILABLE', text, { cause });
}
