import type { CountryCode } from '@domicile/core/countries.ts';
import { headers, streams, topicOf } from '@domicile/core/streams.ts';
import type { ClientOptions } from '@domicile/kafka/client-options.ts';
import { IdempotentProducer } from '@domicile/kafka/idempotent-producer.ts';
import { beginOffsets, endOffsets, readRange } from '@domicile/kafka/topic-follower.ts';

export interface LatestOf {
  readonly client: ClientOptions;
  readonly country: CountryCode;
  readonly building: string;
  readonly partition: number;
}

/** Writes a tombstone for the newest values of each device of a building. `found` is told first of how many. */
export async function eraseLatest(
  { client, country, building, partition }: LatestOf,
  found: (devices: number) => Promise<void>,
): Promise<void> {
  const topic = topicOf(country, 'latest');
  const [begins, ends] = [
    await beginOffsets({ client, topic }),
    await endOffsets({ client, topic }),
  ];
  const present = new Set<string>();
  const range = { from: begins[partition] ?? 0n, to: ends[partition] ?? 0n };
  for await (const records of readRange({ client, topic, partition, ...range }))
    for (const { key, value } of records) {
      const name = key?.toString() ?? '';
      if (value === null) present.delete(name);
      else if (name.startsWith(`${building}/`)) present.add(name);
    }
  await found(present.size);
  if (present.size === 0) return;
  const producer = await IdempotentProducer.open({ client, clientId: 'eraser', topics: [topic] });
  try {
    const sent = [...present].map((name) =>
      producer.send({
        topic,
        partition,
        key: Buffer.from(name),
        headers: { [headers.schema]: streams.latest.schema },
      }),
    );
    await Promise.all(sent);
  } finally {
    await producer.close();
  }
}
