import type { CommandRecord, CommandStateRecord } from '@domicile/core/command.ts';
import { must } from '@domicile/core/invariants.ts';
import { buildingsOf } from '@domicile/core/values.ts';
import { createLog } from '@domicile/runtime/log.ts';
import { createRegistry } from '@domicile/runtime/metrics.ts';
import { expect, test } from 'vitest';
import { CommandDesk } from './command-desk.ts';
import { commandEvents } from './events.ts';
import { CommandBook } from './model/command-book.ts';

const devices = { heat: 'thermostat', warm: 'thermostat' };
const house = {
  client: 'acme',
  timeZone: 'Europe/Berlin',
  floors: { '1': { rooms: { r1: { devices } } } },
};
const [building] = buildingsOf({ buildings: { 'de-one': house } }, 'DE');

/** Each write waits until it is let through. */
function openDesk() {
  const commands: CommandRecord[] = [];
  const states: CommandStateRecord[] = [];
  const clock = { nowMs: Date.UTC(2026, 10, 23, 7) };
  const write = { through: Promise.resolve() };
  const book = new CommandBook();
  const desk = new CommandDesk({
    book,
    writer: {
      async command(record) {
        commands.push(record);
        await write.through;
      },
      async state(record) {
        states.push(record);
        await write.through;
      },
    },
    events: commandEvents(createLog('test', { write: () => undefined }), createRegistry({})),
    now: () => clock.nowMs,
  });
  const ask = (device: string, idempotencyKey: string) =>
    desk.accept({
      building: must(building, 'a building'),
      device,
      body: { set: { target_temperature: 21 } },
      by: 'someone',
      idempotencyKey,
    });
  return { commands, states, clock, write, book, desk, ask };
}

test('two that ask at the same instant under one key get one command', async () => {
  const { ask, commands } = openDesk();
  const [first, second] = await Promise.all([ask('r1-heat', 'k'), ask('r1-heat', 'k')]);
  expect(second.record.id).toBe(first.record.id);
  expect(commands).toHaveLength(1);
});

test('who asks again before the acceptance is durable waits for it', async () => {
  const { ask, write, states } = openDesk();
  const held = Promise.withResolvers<void>();
  const first = ask('r1-heat', 'k');
  write.through = held.promise;
  await expect.poll(() => states.length).toBe(1);
  let isAnswered = false;
  const second = ask('r1-heat', 'k').then((life) => {
    isAnswered = true;
    return life;
  });
  await new Promise(setImmediate);
  expect(isAnswered).toBe(false);
  held.resolve();
  expect((await second).record.id).toBe((await first).record.id);
});

test('a command that is taken while others expire does not expire', async () => {
  const { ask, write, states, clock, book, desk } = openDesk();
  await ask('r1-heat', 'k1');
  const { record } = await ask('r1-warm', 'k2');
  const held = Promise.withResolvers<void>();
  write.through = held.promise;
  clock.nowMs += 331_000;
  const expiring = desk.expire();
  const { id, device } = record;
  const at = new Date(clock.nowMs).toISOString();
  book.takeState({ id, building: 'de-one', device, state: 'delivered', at });
  held.resolve();
  expect(await expiring).toBe(1);
  expect(book.get('de-one', id)?.state).toBe('delivered');
  expect(states.filter(({ state }) => state === 'expired')).toHaveLength(1);
});
