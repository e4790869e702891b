import { lowerCountry, parseBuildingId } from '@domicile/core/identities.ts';
import { topicOf } from '@domicile/core/streams.ts';
import type { OutputRecord } from '@domicile/kafka/records.ts';
import { endOffsets } from '@domicile/kafka/topic-follower.ts';
import type { ClientIdentity } from '../admission/identity.ts';
import type { BrokerConfig } from '../config.ts';
import type { FeedEvents } from './feed-events.ts';
import type { FeedKeeper } from './feed.ts';
import { LogFeed } from './log-feed.ts';
import { MessageWriter } from './message-writer.ts';
import {
  OpenBroker,
  type OpenBrokerEvents,
  type OpenSessions,
  type QosTwoKeeper,
} from './open-broker.ts';
import { RetainedStore } from './retained-store.ts';
import { SystemTopics } from './system-topics.ts';
import { OpenPolicy } from './topic-policy.ts';

type Write = (record: OutputRecord) => Promise<{ readonly offset: bigint }>;

export interface OpenMessagesOptions {
  readonly config: BrokerConfig;
  readonly events: FeedEvents;
  readonly brokerEvents: OpenBrokerEvents;
  readonly sessions: OpenSessions;
  readonly keeper: FeedKeeper;
  /** Absent: such a message is kept as others are, and may come twice when a replica dies. */
  readonly openQosTwo?: (plain: Write) => Promise<QosTwoKeeper & AsyncDisposable>;
  readonly fail: (error: unknown) => void;
}

export interface OpenMessages extends AsyncDisposable {
  readonly feed: LogFeed<ClientIdentity>;
  readonly retained: RetainedStore;
  /** `connections`: of the server that it decides for. */
  broker(connections: () => number): OpenBroker;
}

const retainedBounds = { topicsMax: 100_000, bytesMax: 268_435_456 };
const systemEveryMs = 10_000;

/** Opens the log of messages where any client may use any topic; resolves when what is retained has been read. */
export async function openMessages(options: OpenMessagesOptions): Promise<OpenMessages> {
  const { config, events, brokerEvents, sessions, keeper, fail } = options;
  const { country, kafka: client } = config;
  await using stack = new AsyncDisposableStack();
  const writer = stack.use(await MessageWriter.open(config));
  const retained = stack.use(
    new RetainedStore({
      client,
      kafkaTopic: topicOf(country, 'mqtt-retained'),
      bounds: retainedBounds,
      write: (record) => writer.write(record),
      fail,
      delivered: (delivery) => events.delivered('message', delivery),
      troubled: (error) => events.readBackFailed(error),
    }),
  );
  const kafkaTopic = topicOf(country, 'mqtt-messages');
  const partitions = (await endOffsets({ client, topic: kafkaTopic })).length;
  const policy = new OpenPolicy(country, partitions);
  const feed = stack.use(
    await LogFeed.start<ClientIdentity>({
      client,
      policy,
      keeper,
      events,
      fail,
      retained,
    }),
  );
  await retained.open();
  const qosTwo = await options.openQosTwo?.((record) => writer.write(record));
  if (qosTwo) stack.use(qosTwo);
  const running = stack.move();
  return {
    feed,
    retained,
    broker(connections) {
      const startedAtMs = Date.now();
      const system = new SystemTopics(
        {
          version: () => 'domicile',
          uptime: () => `${Math.floor((Date.now() - startedAtMs) / 1000)}`,
          'clients/connected': () => `${connections()}`,
          'subscriptions/count': () => `${feed.subscriptions}`,
          'messages/received': () => `${broker.received}`,
          'messages/sent': () => `${events.sent}`,
          'retained messages/count': () => `${retained.count}`,
        },
        systemEveryMs,
      );
      running.use(system);
      const broker: OpenBroker = new OpenBroker({
        feed,
        sessions,
        retained,
        system,
        kafkaTopic,
        write: (record) => writer.write(record),
        ...(qosTwo && { qosTwo }),
        events: brokerEvents,
        cell: parseBuildingId(`${lowerCountry(country)}-open`),
      });
      return broker;
    },
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}
