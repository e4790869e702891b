import type { CommandRecord, CommandStateRecord } from '@domicile/core/command.ts';
import type { CountryCode } from '@domicile/core/countries.ts';
import type { DeviceStatusRecord } from '@domicile/core/device-status.ts';
import { type StreamName, topicOf } from '@domicile/core/streams.ts';
import type { ClientOptions } from '@domicile/kafka/client-options.ts';
import type { InputRecord } from '@domicile/kafka/records.ts';
import { endOffsets, type FollowedTopic, TopicFollower } from '@domicile/kafka/topic-follower.ts';
import { z } from 'zod';
import type { Broker } from './broker.ts';
import type { BrokerEvents } from './events.ts';
import type { CommandBook } from './model/command-book.ts';
import type { RegistryView } from './model/registry-view.ts';
import { writerHeader } from './stream-writer.ts';

interface Following {
  readonly client: ClientOptions;
  readonly country: CountryCode;
  readonly fail: (error: unknown) => void;
}

/** Follows the registry from its beginning; resolves when what was there has been read. */
export async function followRegistry(
  { client, country, fail }: Following,
  registry: RegistryView,
  changed: (building: string) => void,
  events: BrokerEvents,
): Promise<TopicFollower> {
  const follower = await TopicFollower.start({
    client,
    clientId: 'broker-registry',
    topics: [{ name: topicOf(country, 'registry'), from: 'earliest' }],
    fail,
    onRecords(records) {
      for (const { key, value, partition, offset } of records) {
        const building = key?.toString() ?? '';
        const change = registry.note(building, value, offset);
        if (change === 'unreadable') events.registryRecordUnreadable(partition, offset);
        else changed(building);
      }
    },
  });
  await follower.caughtUp;
  return follower;
}

const settable = z.union([z.number(), z.boolean(), z.string()]);

/** What these streams hold, as far as the broker acts on it; the rest goes on unseen. */
const schemas = {
  commands: z.object({
    id: z.string(),
    building: z.string(),
    device: z.string(),
    set: z.record(z.string(), settable),
    expiresAt: z.string(),
    acceptedAtMs: z.number(),
    by: z.string(),
    idempotencyKey: z.string().nullable(),
  }) satisfies z.ZodType<CommandRecord>,
  'command-states': z.object({
    id: z.string(),
    building: z.string(),
    device: z.string(),
    state: z.enum(['accepted', 'delivered', 'applying', 'applied', 'failed', 'expired', 'unknown']),
    at: z.string(),
  }) satisfies z.ZodType<Omit<CommandStateRecord, 'reason'>>,
  'device-status': z.object({
    building: z.string(),
    device: z.string(),
    state: z.enum(['online', 'offline']),
    at: z.string(),
    receivedAtMs: z.number(),
  }) satisfies z.ZodType<DeviceStatusRecord>,
};

/** Follows commands, their states and statuses from a bounded way back; resolves when that has been read. */
export async function followDownstream(
  { client, country, fail }: Following,
  { broker, commands, lookbackRecords, writerId }: DownstreamOptions,
): Promise<TopicFollower> {
  const topic = (stream: StreamName) => topicOf(country, stream);
  const handlers: Readonly<Record<string, (record: InputRecord) => void>> = {
    [topic('commands')]: ({ value }) => {
      const record = schemas.commands.safeParse(jsonOf(value)).data;
      const command = record && commands.add(record, Date.now());
      if (command) broker.commandAccepted(command);
    },
    [topic('command-states')]: ({ value }) => {
      const record = schemas['command-states'].safeParse(jsonOf(value)).data;
      if (record) commands.note(record);
    },
    [topic('device-status')]: ({ value, headers, offset }) => {
      const record = schemas['device-status'].safeParse(jsonOf(value)).data;
      if (record && headers.get(writerHeader) !== writerId) broker.statusKept(record, offset);
    },
  };
  const topics: FollowedTopic[] = [];
  for (const name of Object.keys(handlers)) {
    const ends = await endOffsets({ client, topic: name });
    const from = ends.map((end) => end - BigInt(lookbackRecords));
    topics.push({ name, from: new Map(from.entries()) });
  }
  const follower = await TopicFollower.start({
    client,
    clientId: 'broker-downstream',
    topics,
    fail,
    onRecords(records) {
      for (const record of records) handlers[record.topic]?.(record);
    },
  });
  await follower.caughtUp;
  return follower;
}

export interface DownstreamOptions {
  readonly broker: Broker;
  readonly commands: CommandBook;
  readonly lookbackRecords: number;
  /** Whose statuses need no reading. */
  readonly writerId: string;
}

function jsonOf(value: Buffer | null): unknown {
  try {
    return value === null ? undefined : JSON.parse(value.toString('utf8'));
  } catch {
    return undefined;
  }
}
