import { createLog } from '@domicile/runtime/log.ts';
import { expect, test } from 'vitest';
import { parseConfig } from './config.ts';
import { RunningAgent } from './running-agent.ts';
import { configText } from './test-agent.ts';

/** An agent that is there, without parts: it is asked to start the next one, and looks at its stores first. */
function running() {
  const pending = Promise.withResolvers<boolean>();
  const did: string[] = [];
  const config = {
    ...parseConfig(configText('mqtt://127.0.0.1:1'), '/nowhere'),
    allowDrop: false,
  };
  const agent = new RunningAgent({
    config,
    stores: {
      get main(): never {
        throw new Error('Nobody reads it here');
      },
      hasPending: () => {
        did.push('looked');
        return pending.promise;
      },
      pause: () => void did.push('paused'),
      resume: () => undefined,
    },
    uplink: { handOver: () => undefined },
    keeper: { kept: [], stopAccepting: () => undefined, leave: async () => 0 },
    drivers: [],
    log: createLog('gateway-agent', { write: () => undefined }),
    fail: () => undefined,
  });
  return { agent, did, pending };
}

test('of two who ask for the next agent at once the second hears that one is under way', async () => {
  const { agent, did, pending } = running();
  const first = agent.upgrade();
  await expect(agent.upgrade()).rejects.toMatchObject({ code: 'CONFLICT' });
  pending.resolve(true);
  await expect(first).rejects.toMatchObject({ code: 'CONFLICT' });
  // Not for ever: the next one is asked for anew.
  await expect(agent.upgrade()).rejects.toMatchObject({ code: 'CONFLICT' });
  expect(did).toEqual(['looked', 'looked']);
});

test('an agent that is told to stop starts no other', async () => {
  const { agent, did, pending } = running();
  const asked = agent.upgrade();
  const stopped = agent[Symbol.asyncDispose]();
  pending.resolve(false);
  await expect(asked).rejects.toMatchObject({ code: 'CONFLICT' });
  await stopped;
  expect(did).toEqual(['looked']);
});
