import type { ClientOptions } from '@domicile/kafka/client-options.ts';
import { Kafka, logLevel } from 'kafkajs';

/** Since the last batch: where markers of transactions stand last, no batch reaches the end. */
const quietMs = 20_000;

/** A client that shares no code with ours. */
export function auditorOf({ sasl, bootstrapBrokers }: ClientOptions): Kafka {
  return new Kafka({
    clientId: 'auditor',
    brokers: bootstrapBrokers.map(String),
    logLevel: logLevel.NOTHING,
    ...(sasl && {
      sasl: {
        mechanism: 'plain',
        username: String(sasl.username),
        password: String(sasl.password),
      },
    }),
  });
}

/** The records of all topics as text: keys, values and headers. */
export async function decodedKafka(client: ClientOptions): Promise<string> {
  const kafka = auditorOf(client);
  const admin = kafka.admin();
  await admin.connect();
  const topics = (await admin.listTopics()).filter((topic) => !topic.startsWith('__'));
  let left = 0;
  const ends = new Map<string, number>();
  for (const topic of topics) {
    for (const { partition, low, high } of await admin.fetchTopicOffsets(topic)) {
      if (Number(high) === Number(low)) continue;
      ends.set(`${topic} ${partition}`, Number(high));
      left += 1;
    }
  }
  await admin.disconnect();
  const texts: string[] = topics.map((topic) => topic);
  if (left === 0) return texts.join('\n');
  const consumer = kafka.consumer({ groupId: `auditor-${Date.now()}` });
  const done = Promise.withResolvers<void>();
  const quiet = setTimeout(done.resolve, quietMs);
  await consumer.connect();
  await consumer.subscribe({ topics, fromBeginning: true });
  await consumer.run({
    eachBatchAutoResolve: true,
    eachBatch: async ({ batch }) => {
      quiet.refresh();
      for (const { key, value, headers = {} } of batch.messages) {
        const told = Object.entries(headers).map(([name, content]) => `${name}=${String(content)}`);
        texts.push(`${batch.topic} ${String(key)} ${String(value)} ${told.join(' ')}`);
      }
      const name = `${batch.topic} ${batch.partition}`;
      // Markers of transactions take offsets and are no messages, so the end is what the batch reached.
      if (ends.has(name) && Number(batch.lastOffset()) + 1 >= (ends.get(name) ?? 0)) {
        ends.delete(name);
        left -= 1;
        if (left === 0) done.resolve();
      }
    },
  });
  await done.promise;
  clearTimeout(quiet);
  await consumer.disconnect();
  return texts.join('\n');
}
