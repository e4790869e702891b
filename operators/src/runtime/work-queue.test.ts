import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import type { QueueLimits, Result } from '../model/queue-state.ts';
import { WorkQueue } from './work-queue.ts';

const limits: QueueLimits = {
  concurrency: 2,
  perSecond: 10_000,
  burst: 10_000,
  backoffMsMin: 5,
  backoffMsMax: 20,
  changedPauseMs: 5,
};

async function until(condition: () => boolean): Promise<void> {
  for (let n = 0; n < 500 && !condition(); n += 1) await sleep(5);
  expect(condition()).toBe(true);
}

test('works on what was added, so many at once and not more', async () => {
  let running = 0;
  let most = 0;
  const worked: string[] = [];
  await using queue = new WorkQueue({
    limits,
    work: async (key) => {
      running += 1;
      most = Math.max(most, running);
      await sleep(2);
      running -= 1;
      worked.push(key);
      return { kind: 'done' };
    },
  });
  for (let n = 0; n < 20; n += 1) queue.add(`${n}`, 'change');
  await until(() => worked.length === 20);
  expect(most).toBe(2);
  expect(new Set(worked).size).toBe(20);
  expect(queue.isIdle).toBe(true);
});

test('tries again what failed, and looks again when it was asked to', async () => {
  const results: Result[] = [
    { kind: 'failed' },
    { kind: 'failed' },
    { kind: 'again', afterMs: 5 },
    { kind: 'done' },
  ];
  let looks = 0;
  let retries = 0;
  const nothing = () => {};
  await using queue = new WorkQueue({
    limits,
    observer: { added: nothing, taken: nothing, finished: nothing, retried: () => (retries += 1) },
    work: async () => {
      looks += 1;
      return results.shift() ?? { kind: 'done' };
    },
  });
  queue.add('a', 'change');
  await until(() => looks === 4);
  expect(retries).toBe(2);
});

test('a stop takes no more and waits for what was begun', async () => {
  const worked: string[] = [];
  const queue = new WorkQueue({
    limits: { ...limits, concurrency: 1 },
    work: async (key) => {
      await sleep(20);
      worked.push(key);
      return { kind: 'done' };
    },
  });
  queue.add('begun', 'change');
  queue.add('waiting', 'change');
  await sleep(10);
  await queue[Symbol.asyncDispose]();
  queue.add('late', 'change');
  await sleep(40);
  expect(worked).toEqual(['begun']);
});
