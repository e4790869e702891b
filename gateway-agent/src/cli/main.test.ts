import { mkdtempDisposable, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { Terminal } from './command.ts';
import { textLine, textLines } from './log-lines.ts';
import { main } from './main.ts';

interface Said {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

async function typed(...args: string[]): Promise<Said> {
  const said = { out: '', err: '' };
  const terminal: Terminal = {
    out: (text) => (said.out += text),
    err: (text) => (said.err += text),
    isLive: false,
    columns: 80,
    rows: 40,
    hasColour: false,
    stop: new AbortController().signal,
  };
  return { code: await main(args, terminal), ...said };
}

const names = ['run', 'check', 'status', 'export', 'enrol', 'upgrade', 'schema'];

test('there is help for all, and it tells the exit codes', async () => {
  const overview = await typed();
  expect(overview.code).toBe(0);
  expect(overview.out).toContain('Exit codes: 0 done');
  for (const name of names) expect(overview.out).toContain(`\n  ${name} `);
});

test.each(names)('help of %s says how it is typed and what each option does', async (name) => {
  const help = await typed('help', name);
  expect(help).toMatchObject({ code: 0, err: '' });
  expect(help.out).toContain(`domicile-gateway ${name}`);
  expect(await typed(name, '--help')).toEqual(help);
  expect(help.out.split('\n').filter((line) => line.length > 100)).toEqual([]);
});

test.each([
  [['chekc'], /There is no command chekc; did you mean check\?/],
  [['frobnicate'], /there are run, check/],
  [['help', 'exprot'], /did you mean export\?/],
  [
    ['status', '--onec'],
    /no option --onec; did you mean --once\?\nSee: domicile-gateway help status/,
  ],
  [['status', '--once', '--json'], /leave out --once/],
  [['status', 'a', 'b'], /`b` is not expected/],
  [['export', '--since'], /--since/],
  [['export', '--data', tmpdir(), '--since', 'yesterday'], /--since must be a time as 2026-11-23T/],
  [['export', '--data', '/nowhere'], /There is no directory \/nowhere/],
  [['export', '--data', tmpdir(), '--resume'], /--resume needs --output/],
])('%j is answered by what to type', async (args, answer) => {
  const { code, out, err } = await typed(...args);
  expect({ code, out }).toEqual({ code: 2, out: '' });
  expect(err).toMatch(answer);
});

test('a fault of the file is told by each command with its line', async () => {
  await using directory = await mkdtempDisposable(join(tmpdir(), 'gateway-cli-'));
  const file = join(directory.path, 'wrong.yaml');
  await writeFile(file, 'building: de-7f3k\ndataDirecttory: data\n');
  for (const name of ['run', 'status', 'upgrade', 'enrol', 'export']) {
    const { code, err } = await typed(name, file);
    expect(code).toBe(2);
    expect(err).toContain(
      'wrong.yaml:2:1: dataDirecttory: is no setting; did you mean `dataDirectory`?',
    );
  }
  const check = await typed('check', file);
  expect(check.code).toBe(2);
  expect(check.out).toMatch(/^fail {2}config [^]*dataDirecttory/);
  expect((await typed('status', join(directory.path, 'absent'))).err).toMatch(
    /ENOENT.*GATEWAY_CONFIG/,
  );
});

test('log lines are for a person, and what is none passes as it is', () => {
  const line = {
    level: 40,
    time: '2026-11-27T12:00:00.000Z',
    service: 'gateway-agent',
    msg: 'Uplink lost',
  };
  expect(textLine(JSON.stringify({ ...line, reason: 'the connection closed', count: 3 }))).toMatch(
    /^\d\d:\d\d:00 WARN {2}Uplink lost {2}reason="the connection closed" count=3$/,
  );
  const err = { type: 'Error', message: 'boom', stack: 'Error: boom\n    at x' };
  expect(textLine(JSON.stringify({ ...line, level: 50, err }))).toMatch(
    /ERROR Uplink lost\n {2}Error: boom\n/,
  );
  expect(textLine('no json\n')).toBe('no json');
});

test('a line that comes again and again is counted', () => {
  let nowMs = 0;
  const said: string[] = [];
  const lines = textLines({ out: (text) => void said.push(text) }, () => nowMs);
  const line = (msg: string, requestId: number) =>
    JSON.stringify({
      level: 40,
      time: '2026-11-27T12:00:00.000Z',
      msg,
      requestId: `${requestId}`,
      err: { message: 'full', stack: 'at x' },
    });
  for (let count = 0; count < 50; count++) lines.write(line('Request failed', count));
  nowMs = 11_000;
  lines.write(line('Request failed', 50));
  lines.write(line('Uplink lost', 51));
  expect(said.map((text) => text.slice(9))).toEqual([
    'WARN  Request failed  requestId=0: full\n',
    expect.stringMatching(/… 49 times more\n.*requestId=50: full\n$/),
    'WARN  Uplink lost  requestId=51: full\n',
  ]);
});
