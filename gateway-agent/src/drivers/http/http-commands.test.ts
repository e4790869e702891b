import { parseDeviceId } from '@domicile/core/identities.ts';
import { expect, test } from 'vitest';
import { HttpCommands } from './http-commands.ts';

const device = parseDeviceId('r101-thermostat');

test('after its end a command that waited its turn is left to the next start', async () => {
  const commands = new HttpCommands({
    now: () => 0,
    answerTimeoutMs: 600_000,
    reachable: () => undefined,
  });
  await commands.fetch(device, 0, new AbortController().signal);
  const first = commands.apply({ id: 'c1', device, set: {} });
  commands.close();
  expect(await first).toMatchObject({ state: 'failed' });
  expect(commands.drives(device)).toBe(false);
  expect(await commands.apply({ id: 'c2', device, set: {} })).toMatchObject({ state: 'failed' });
});
