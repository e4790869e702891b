import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtempDisposable, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { parseConfig } from './config.ts';

const run = promisify(execFile);
const root = join(import.meta.dirname, '..');
const folder = join(root, 'systemd');
const units = [
  'domicile-gateway.service',
  'domicile-gateway-mqtt.socket',
  'domicile-gateway-http.socket',
];
const analyser = '/usr/bin/systemd-analyze';

/** Settings of a unit in their order, by section. */
async function settingsOf(
  name: string,
): Promise<{ section: string; key: string; value: string }[]> {
  let section = '';
  const settings: { section: string; key: string; value: string }[] = [];
  for (const line of (await readFile(join(folder, name), 'utf8')).split('\n')) {
    if (line === '' || line.startsWith('#')) continue;
    const [, head] = /^\[(\w+)\]$/.exec(line) ?? [];
    const [, key = '', value = ''] = /^(\w+)=(.*)$/.exec(line) ?? [];
    expect({ line, isRead: head !== undefined || key !== '' }).toEqual({ line, isRead: true });
    if (head === undefined) settings.push({ section, key, value });
    else section = head;
  }
  return settings;
}

test('the service starts what is there, on the configuration that is shipped as an example', async () => {
  const settings = await settingsOf('domicile-gateway.service');
  const valueOf = (wanted: string) => settings.find(({ key }) => key === wanted)?.value ?? '';
  const started = valueOf('ExecStart').split(' ');
  const [node, program = '', verb, file] = started.filter((word) => !word.startsWith('--'));
  expect([node, verb, file]).toEqual(['/usr/bin/node', 'run', '/etc/domicile/gateway.yaml']);
  expect(existsSync(program.replace('/opt/domicile/gateway-agent', root))).toBe(true);
  expect(valueOf('ExecReload').split(' ').slice(1, 3)).toEqual([program, 'upgrade']);

  const example = parseConfig(
    await readFile(join(folder, 'gateway.yaml'), 'utf8'),
    '/etc/domicile',
  );
  const state = `/var/lib/${valueOf('StateDirectory')}`;
  expect(example.dataDirectory).toBe(state);
  // The rest of the disk is read-only for it.
  for (const path of [example.uplink.certFile, example.uplink.keyFile, valueOf('PIDFile')])
    expect(path).toMatch(new RegExp(`^${state}/`));
  const sockets = await Promise.all(units.slice(1).map(settingsOf));
  const ports = sockets.map((of) => [
    of.find(({ key }) => key === 'FileDescriptorName')?.value,
    Number(of.find(({ key }) => key === 'ListenStream')?.value),
  ]);
  const { mqtt, http } = example.drivers;
  expect(ports).toEqual([
    ['mqtt', mqtt?.port],
    ['http', http?.port],
  ]);
});

test('systemd takes the units, and finds the service well confined', async () => {
  expect(existsSync(analyser), 'needs systemd-analyze, of the Debian package systemd').toBe(true);
  await using directory = await mkdtempDisposable(join(tmpdir(), 'units-'));
  const paths: string[] = [];
  for (const name of units) {
    const text = await readFile(join(folder, name), 'utf8');
    const path = join(directory.path, name);
    await writeFile(path, text.replaceAll('/usr/bin/node', process.execPath));
    paths.push(path);
  }
  const verified = await run(analyser, ['verify', '--man=no', ...paths]);
  expect(verified.stdout + verified.stderr).toBe('');
  // Of 100; an unconfined service has 96.
  await run(analyser, ['security', '--offline=true', '--threshold=20', paths[0] ?? '']);
});
