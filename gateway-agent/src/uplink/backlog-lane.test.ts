import { setTimeout as wait } from 'node:timers/promises';
import { parseBuildingId } from '@domicile/core/identities.ts';
import { createLog } from '@domicile/runtime/log.ts';
import { Registry } from 'prom-client';
import { expect, test } from 'vitest';
import { createAgentEvents } from '../events.ts';
import type { Store } from '../store/store.ts';
import { runBacklog } from './backlog-lane.ts';

/** A store of one record, which the disk gives when it is asked for the third time. */
function badStore(): Store {
  let asked = 0;
  let unsent = [{ from: 0, to: 1 }];
  const body = Buffer.from('{"values":{"n":1}}');
  const record = { index: 0, kind: 'own', lane: 'live', device: 'a', boot: 'b', seq: 0 } as const;
  return {
    boot: 'b',
    next: 1,
    get unsent() {
      return unsent;
    },
    bytes: 0,
    oldestUnsentAtMs: undefined,
    append: async () => undefined,
    read: async () => {
      asked += 1;
      if (asked < 3) throw new Error('EIO: i/o error, read');
      return { records: [{ ...record, body }], next: 1 };
    },
    sent: () => undefined,
    sentUpTo: () => (unsent = []),
    dropIfOrdered: () => false,
    order: async () => undefined,
    numbersOf: () => ({}),
    account: (atMs) => ({ atMs, boot: 'b', numbers: {}, dropped: [] }),
    told: () => undefined,
    adopt: async () => undefined,
    checkpoint: async () => true,
    [Symbol.asyncDispose]: async () => undefined,
  };
}

test('what the disk does not give is asked for again, and ends neither the link nor the agent', async () => {
  const stop = new AbortController();
  const reasons: string[] = [];
  const published = Promise.withResolvers<string>();
  const store = badStore();
  const running = runBacklog(
    () => [store],
    {
      lost: new AbortController().signal,
      payloadBytesMax: 10_000,
      publish: async (_topic, payload) => published.resolve(payload.toString()),
    },
    {
      building: parseBuildingId('de-test'),
      events: {
        ...createAgentEvents(
          new Registry(),
          createLog('gateway-agent', { write: () => undefined }),
        ),
        backlogFailed: (reason) => void reasons.push(reason),
      },
      bodyOf: ({ body }) => body,
      readingsPerSecond: 1000,
      inFlightMax: 1,
      taken: () => [],
      unreadableWaitMs: 1,
    },
    stop.signal,
  );
  expect(await Promise.race([published.promise, running, wait(5000)])).toContain('"n":1');
  expect(reasons).toEqual(['EIO: i/o error, read', 'EIO: i/o error, read']);
  stop.abort();
  await running;
});
