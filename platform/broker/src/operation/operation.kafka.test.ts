import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { freshName } from '@domicile/devkit/fresh-name.ts';
import { waitFor } from '@domicile/devkit/wait-for.ts';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { endOf } from '../admission/test-door.ts';
import { TestHouse } from '../test-house.ts';

let house: TestHouse;
let building: string;
beforeAll(async () => {
  house = await TestHouse.open();
  building = freshName('de');
  await house.declare(building);
});
afterAll(async () => {
  await house[Symbol.asyncDispose]();
});

interface Said {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** The command line tool, as an operator runs it. */
async function cli(...args: string[]): Promise<Said> {
  const run = promisify(execFile);
  const failed = z.object({ code: z.number(), stdout: z.string(), stderr: z.string() });
  try {
    const tool = join(import.meta.dirname, 'cli.ts');
    const { stdout, stderr } = await run(process.execPath, [tool, ...args]);
    return { code: 0, out: stdout, err: stderr };
  } catch (error) {
    const { code, stdout, stderr } = failed.parse(error);
    return { code, out: stdout, err: stderr };
  }
}

const admin = () => ['--admin', house.broker.adminUrl];

test('the command line shows sessions and kicks a client, whose session stays', async () => {
  const client = await house.clientSoon(building, {
    clientId: 'gw 1/ü',
    clean: false,
    properties: { sessionExpiryInterval: 60 },
  });
  await client.subscribeAsync(`v1/${building}/+/commands/+`, { qos: 1 });
  const key = `${building}/gw 1/ü`;

  const listed = await cli('sessions', '--building', building, ...admin());
  expect(listed.out).toMatch(/^KEY +STATE +SINCE +SUBSCRIPTIONS/);
  expect(listed.out).toMatch(new RegExp(`^${key} +connected +20[^ ]+ +1 +0 +0 `, 'm'));
  const shown = await cli('session', key, '--json', ...admin());
  expect(JSON.parse(shown.out)).toMatchObject({
    key,
    connected: true,
    filters: [`v1/${building}/+/commands/+`],
  });

  const end = endOf(client);
  expect(await cli('kick', key, ...admin())).toEqual({
    code: 0,
    out: `${key} was disconnected\n`,
    err: '',
  });
  expect(await end).toBe(0x98);
  const after = await cli('session', key, '--json', ...admin());
  expect(JSON.parse(after.out)).toMatchObject({ connected: false, subscriptions: 1 });
  expect(await cli('kick', key, ...admin())).toMatchObject({
    code: 1,
    err: 'Cannot kick this session: it is not connected\n',
  });
  await client.endAsync(true);
});

test('what the command line cannot do it says, and what to do', async () => {
  expect(await cli('kick', 'de-no/such', ...admin())).toMatchObject({
    code: 1,
    err: 'There is no such session: its key is {building}/{client id}\n',
  });
  expect((await cli('status', ...admin())).out).toContain('(DE): ready\n');
  expect(await cli('status', '--admin', 'http://127.0.0.1:1')).toMatchObject({
    code: 1,
    err: expect.stringContaining('is this its admin port (ADMIN_PORT)?'),
  });
  expect((await cli('--help')).out).toContain('domicile-broker');
  for (const args of [['dance'], ['kick'], ['sessions', '--limit', 'x'], ['status', '--bad']]) {
    expect((await cli(...args)).code).toBe(2);
  }
});

test('the broker is not ready while Kafka is away, lives all the same, and is ready again', async () => {
  const state = async () => {
    const answer = await fetch(`${house.broker.adminUrl}/readyz`);
    return JSON.stringify(await answer.json());
  };
  expect(await state()).toBe('{"ready":true,"reasons":[]}');
  await house.kafka.cluster.kill(1);
  const away = '{"ready":false,"reasons":["kafka-unreachable"]}';
  await waitFor('readiness to end', async () => (await state()) === away);
  expect((await fetch(`${house.broker.adminUrl}/livez`)).status).toBe(200);
  house.kafka.cluster.restart(1);
  await house.kafka.cluster.ready();
  await waitFor('readiness', async () => (await state()) === '{"ready":true,"reasons":[]}');
  expect(house.failures).toEqual([]);
});
