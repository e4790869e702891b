#!/usr/bin/env node
// Plain JavaScript, so that an old Node can say that it is too old.
const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
if (major < 24 || (major === 24 && minor < 12)) {
  process.stderr.write(
    `domicile needs Node 24.12 or newer; this is ${process.version} (${process.execPath})\n`,
  );
  process.exitCode = 2;
} else {
  // oxlint-disable-next-line no-restricted-imports -- it is this room's own
  const { runTool } = await import('../src/plan/cli.ts');
  process.exitCode = await runTool(process.argv.slice(2), {
    write: (told) => process.stdout.write(told),
    complain: (told) => process.stderr.write(told),
  });
}
