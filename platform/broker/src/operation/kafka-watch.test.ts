import { setTimeout as wait } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { watchKafka } from './kafka-watch.ts';
import { Readiness } from './readiness.ts';

async function untilSeen(readiness: Readiness, count: number): Promise<void> {
  for (let each = 0; each < 400 && readiness.reasons.length !== count; each += 1) await wait(5);
}

test('a Kafka that does not answer, or answers with a failure, stands against readiness until it does', async () => {
  const readiness = new Readiness();
  let kafka: 'up' | 'down' | 'silent' = 'up';
  const silent = Promise.withResolvers<void>();
  const ask = async () => {
    if (kafka === 'silent') await silent.promise;
    if (kafka === 'down') throw new Error('refused');
  };
  const seen = async (reasons: readonly string[]) => {
    await untilSeen(readiness, reasons.length);
    expect(readiness.reasons).toEqual(reasons);
  };
  await using _watch = watchKafka({ ask, readiness, everyMs: 5, timeoutMs: 20 });
  await wait(50);
  expect(readiness.reasons).toEqual([]);
  kafka = 'down';
  await seen(['kafka-unreachable']);
  kafka = 'up';
  await seen([]);
  kafka = 'silent';
  await seen(['kafka-unreachable']);
  kafka = 'up';
  silent.resolve();
  await seen([]);
});

test('it is stopped while Kafka is silent', async () => {
  const readiness = new Readiness();
  const watch = watchKafka({
    ask: () => new Promise(() => undefined),
    readiness,
    everyMs: 5,
    timeoutMs: 5,
  });
  await untilSeen(readiness, 1);
  await watch[Symbol.asyncDispose]();
  expect(readiness.reasons).toEqual(['kafka-unreachable']);
});
