import type { CommandRecord, CommandStateRecord } from '@domicile/core/command.ts';
import type { CountryCode } from '@domicile/core/countries.ts';
import { headers, streams, topicOf } from '@domicile/core/streams.ts';
import type { ClientOptions } from '@domicile/kafka/client-options.ts';
import { IdempotentProducer } from '@domicile/kafka/idempotent-producer.ts';

/** Writes what this service says. Each resolves when Kafka's in-sync replicas have it. */
export interface CommandWriter {
  command(record: CommandRecord): Promise<void>;
  state(record: CommandStateRecord): Promise<void>;
}

export interface KafkaCommandWriter extends CommandWriter, AsyncDisposable {}

/** A small service: few commands may wait at once. */
const pendingBytesMax = 4 * 1024 * 1024;

export async function openCommandWriter(of: {
  client: ClientOptions;
  country: CountryCode;
  deliveryTimeoutMs: number;
}): Promise<KafkaCommandWriter> {
  const { client, country, deliveryTimeoutMs } = of;
  const topics = {
    commands: topicOf(country, 'commands'),
    states: topicOf(country, 'command-states'),
  };
  const producer = await IdempotentProducer.open({
    client,
    clientId: 'commands',
    topics: Object.values(topics),
    lanes: 1,
    pendingBytesMax,
    deliveryTimeoutMs,
  });
  const write = async (stream: { topic: string; schema: string }, record: { building: string }) => {
    await producer.send({
      topic: stream.topic,
      key: Buffer.from(record.building),
      value: Buffer.from(JSON.stringify(record)),
      headers: { [headers.schema]: stream.schema },
    });
  };
  return {
    command: (record) => write({ topic: topics.commands, schema: streams.commands.schema }, record),
    state: (record) =>
      write({ topic: topics.states, schema: streams['command-states'].schema }, record),
    [Symbol.asyncDispose]: () => producer.close(),
  };
}
