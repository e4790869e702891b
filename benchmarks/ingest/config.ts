import { clientOptionsOf, kafkaSettings } from '@domicile/kafka/config.ts';
import { IdempotentProducer } from '@domicile/kafka/idempotent-producer.ts';
import { portSetting, readEnvironment } from '@domicile/runtime/environment.ts';
import { z } from 'zod';

const settings = z.object({ ...kafkaSettings, PORT: portSetting, TOPIC: z.string() });

interface Sent {
  readonly topic: string;
  readonly payload: Buffer;
  readonly client: string;
}

/** What the rivals need: a port, and the same producer as the broker's. */
export async function openRival() {
  const read = readEnvironment(settings, process.env);
  const producer = await IdempotentProducer.open({
    client: clientOptionsOf(read),
    clientId: 'rival',
    topics: [read.TOPIC],
    lanes: 4,
    lingerMs: 5,
    pendingBytesMax: 67_108_864,
  });
  /** The record that the contract asks for, headers included. */
  const send = (message: Sent) => {
    const [, building = '', device = ''] = message.topic.split('/');
    return producer.send({
      topic: read.TOPIC,
      key: Buffer.from(building),
      value: message.payload,
      headers: {
        schema: 'telemetry/1',
        device,
        client: message.client,
        'registry-offset': '1000',
      },
    });
  };
  return { port: read.PORT, send };
}
