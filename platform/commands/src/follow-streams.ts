import type { BuildingRecord } from '@domicile/core/building.ts';
import type { CommandRecord, CommandStateRecord } from '@domicile/core/command.ts';
import type { CountryCode } from '@domicile/core/countries.ts';
import { headers, type StreamName, streams, topicOf } from '@domicile/core/streams.ts';
import type { ClientOptions } from '@domicile/kafka/client-options.ts';
import type { InputRecord } from '@domicile/kafka/records.ts';
import { TopicFollower } from '@domicile/kafka/topic-follower.ts';
import type { CommandEvents } from './events.ts';
import type { CommandBook } from './model/command-book.ts';

interface Following {
  readonly client: ClientOptions;
  readonly country: CountryCode;
  readonly book: CommandBook;
  readonly buildings: Map<string, BuildingRecord>;
  readonly events: CommandEvents;
  readonly fail: (error: unknown) => void;
}

/** Follows commands, their states and the registry from the beginning of what is kept. */
export function followStreams(following: Following): Promise<TopicFollower> {
  const { client, fail } = following;
  const { book, buildings, events } = following;
  const take = new Map([
    taking<BuildingRecord>(following, {
      stream: 'registry',
      take: (building) => void buildings.set(building.id, building),
    }),
    taking<CommandRecord>(following, {
      stream: 'commands',
      take: (command) => book.takeCommand(command),
    }),
    taking<CommandStateRecord>(following, {
      stream: 'command-states',
      take(told) {
        book.takeState(told);
        events.stateKnown(told.state);
      },
    }),
  ]);
  return TopicFollower.start({
    client,
    clientId: 'commands',
    topics: [...take.keys()].map((name) => ({ name, from: 'earliest' })),
    fail,
    onRecords(records) {
      for (const record of records) take.get(record.topic)?.(record);
    },
  });
}

type Take = (record: InputRecord) => void;

interface Taking<Value> {
  readonly stream: StreamName;
  readonly take: (value: Value) => void;
}

/** A topic, and what is done with its records. */
function taking<Value>(
  { country, buildings, events }: Following,
  { stream, take }: Taking<Value>,
): [topic: string, Take] {
  const takeRecord: Take = ({ key, value, headers: named }) => {
    if (value === null) {
      if (stream === 'registry') buildings.delete(key?.toString() ?? '');
      return;
    }
    if (named.get(headers.schema) !== streams[stream].schema) {
      events.recordUnreadable(stream);
      return;
    }
    // Only our own services may write to the streams, and they say by the header of which schema a record is.
    const read: Value = JSON.parse(value.toString());
    take(read);
  };
  return [topicOf(country, stream), takeRecord];
}
