import { setTimeout as sleep } from 'node:timers/promises';
import type { CountryCode } from '@domicile/core/countries.ts';
import { headers as headerNames, tickSchema, topicOf } from '@domicile/core/streams.ts';
import type { ClientOptions } from '@domicile/kafka/client-options.ts';
import { IdempotentProducer } from '@domicile/kafka/idempotent-producer.ts';
import { startLoop } from '@domicile/runtime/service.ts';

export interface TickerOptions {
  readonly client: ClientOptions;
  readonly country: CountryCode;
  readonly instanceId: string;
  readonly intervalMs: number;
  /** The partitions that are open now. */
  readonly partitions: () => Iterable<number>;
  readonly onFailed: (error: unknown) => void;
  readonly fail: (error: unknown) => void;
}

/**
 * Moves time in the partitions that this process has: a tick stands between the readings as any record, and its timestamp
 * counts. Outside the transaction, so a tick more or less changes nothing that is not already so.
 */
export async function startTicker(options: TickerOptions): Promise<AsyncDisposable> {
  const { client, country, instanceId, intervalMs, partitions, onFailed, fail } = options;
  const topic = topicOf(country, 'telemetry');
  await using parts = new AsyncDisposableStack();
  const producer = await IdempotentProducer.open({
    client,
    clientId: `task-ticks-${instanceId}`,
    topics: [topic],
    lanes: 1,
  });
  parts.defer(() => producer.close());
  const tick = async (partition: number): Promise<void> => {
    const value = Buffer.from(JSON.stringify({ atMs: Date.now() }));
    const headers = { [headerNames.schema]: tickSchema };
    await producer.send({ topic, partition, key: Buffer.from('tick'), value, headers });
  };
  parts.use(
    startLoop(async (signal) => {
      for (;;) {
        await sleep(intervalMs, undefined, { signal });
        const outcomes = await Promise.allSettled([...partitions()].map(tick));
        const failed = outcomes.find((outcome) => outcome.status === 'rejected');
        if (failed) onFailed(failed.reason);
      }
    }, fail),
  );
  return parts.move();
}
