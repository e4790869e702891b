#!/usr/bin/env -S node --max-semi-space-size=2 --max-old-space-size=64
// Plain JavaScript, so that an old Node can say that it is too old.
const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
if (major < 24 || (major === 24 && minor < 12)) {
  process.stderr.write(
    `domicile-gateway needs Node 24.12 or newer; this is ${process.version} (${process.execPath})\n`,
  );
  process.exitCode = 2;
} else {
  const { enableCompileCache } = await import('node:module');
  // Less to compile means less memory and a quicker start; it says where by NODE_COMPILE_CACHE.
  enableCompileCache();
  // oxlint-disable-next-line no-restricted-imports -- it is this room's own
  const { main } = await import('../src/cli/main.ts');
  process.exitCode = await main(process.argv.slice(2));
}
