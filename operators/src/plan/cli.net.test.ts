import { execFile } from 'node:child_process';
import { mkdtempDisposableSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';

// The tool as a shell runs it.

const tool = join(import.meta.dirname, '../../bin/domicile.js');

interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

function domicile(args: readonly string[], stdin = ''): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const env = { PATH: '/nowhere' };
    const child = execFile(process.execPath, [tool, ...args], { env }, (error, stdout, stderr) => {
      if (error && typeof error.code !== 'number') reject(error);
      else resolve({ code: Number(error?.code ?? 0), stdout, stderr });
    });
    child.stdin?.end(stdin);
  });
}

const home = `
roomTypes: { standard: { air: air-quality } }
buildings:
  de-1: { client: acme, timeZone: Europe/Berlin, floors: { "1": { rooms: { r1: standard } } } }
`;

test('values are planned from a file and from the standard input, as a table and as JSON', async () => {
  using folder = mkdtempDisposableSync(join(tmpdir(), 'plan-'));
  const file = join(folder.path, 'homes.yaml');
  writeFileSync(file, home);
  const table = await domicile(['plan', '-f', file]);
  expect(table).toMatchObject({ code: 0, stderr: '' });
  expect(table.stdout).toContain('+ Building de-1');
  const json = await domicile(['plan', '-f', '-', '--output', 'json'], home);
  expect(json.code).toBe(0);
  expect(JSON.parse(json.stdout)).toMatchObject({
    country: 'DE',
    server: false,
    resources: [{ kind: 'Building', name: 'de-1', source: '-', action: 'create', faults: [] }],
  });
});

test('what is refused ends with 1, and says where and why', async () => {
  const { code, stdout } = await domicile(['plan', '-f', '-', '--country', 'US'], home);
  expect(code).toBe(1);
  expect(stdout).toContain('buildings.de-1: is not in US');
});

const notToBeTold: Record<string, readonly [args: string[], stdin: string, said: RegExp]> = {
  'no command': [[], '', /a command is missing: plan or ready/],
  'two files that are none': [
    ['plan', '-f', '/nowhere.yaml', '-f', '-'],
    'a: [\nb: }',
    /Cannot read \/nowhere\.yaml[^]*Cannot read -: .*; /,
  ],
  'no file': [['plan'], '', /plan wants a file/],
  'a file that is not there': [['plan', '-f', '/nowhere.yaml'], '', /Cannot read \/nowhere\.yaml/],
  'no YAML': [['plan', '-f', '-'], 'a: [', /Cannot read -/],
  'something else': [['plan', '-f', '-'], 'replicas: 2', /expected values of domicile-cell/],
  'no such command': [['apply'], '', /there is no command apply/],
  'no such option': [['plan', '--force'], '', /Unknown option '--force'/],
  'no such form': [['plan', '-f', '-', '-o', 'xml'], home, /--output is table or json/],
  'no cluster': [['plan', '-f', '-', '--server'], home, /Cannot find the API server/],
  'a release without a cluster': [['plan', '-f', '-', '--release', 'x'], home, /wants --server/],
  'nothing to be ready': [['ready', 'pods'], '', /ready wants cell\/NAME/],
};

test.each(Object.entries(notToBeTold))('%s ends with 2', async (_what, [args, stdin, said]) => {
  const ended = await domicile(args, stdin);
  expect(ended.stderr).toMatch(said);
  expect(ended).toMatchObject({ code: 2, stdout: '' });
});

test('help is given when it is asked for', async () => {
  expect(await domicile(['--help'])).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/Ends with\n +0 .*\n +1 .*\n +2 /),
  });
});

test('an address is ready once it says so', async () => {
  let asked = 0;
  const server = createServer((_request, response) => {
    asked += 1;
    response.writeHead(asked < 2 ? 503 : 200).end('waits for the lease');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const url = `http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}/readyz`;
  const impatient = await domicile(['ready', url, '--timeout', '0']);
  expect(impatient).toMatchObject({ code: 1, stdout: expect.stringContaining('503 waits for') });
  expect(await domicile(['ready', url, '--timeout', '20'])).toMatchObject({ code: 0 });
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});
