import type { ClientOptions } from '@domicile/kafka/client-options.ts';
import type { InputRecord } from '@domicile/kafka/records.ts';
import { beginOffsets, endOffsets, readRange } from '@domicile/kafka/topic-follower.ts';
import { waitFor } from './wait-for.ts';

/**
 * All that a reader sees of a topic once no transaction is open, by partition and offset. `uncommitted` shows what was
 * aborted too.
 */
export async function readTopic(
  client: ClientOptions,
  topic: string,
  isolation: 'committed' | 'uncommitted' = 'committed',
): Promise<InputRecord[]> {
  let ends: bigint[] = [];
  // A commit is acknowledged before its markers are written, so the stable end follows a little later.
  await waitFor('open transactions to end', async () => {
    ends = await endOffsets({ client, topic, isolation });
    return ends.join() === (await endOffsets({ client, topic, isolation: 'uncommitted' })).join();
  });
  const begins = await beginOffsets({ client, topic });
  const found: InputRecord[] = [];
  for (const [partition, to] of ends.entries()) {
    const range = { client, topic, partition, from: begins[partition] ?? 0n, to, isolation };
    for await (const records of readRange(range)) for (const record of records) found.push(record);
  }
  return found;
}
