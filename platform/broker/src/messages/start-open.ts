import { parseBuildingId } from '@domicile/core/identities.ts';
import { topicOf } from '@domicile/core/streams.ts';
import { endOffsets } from '@domicile/kafka/topic-follower.ts';
import { MqttServer } from '@domicile/mqtt/server.ts';
import { startAdmin } from '@domicile/runtime/admin.ts';
import { createLog } from '@domicile/runtime/log.ts';
import { createRegistry } from '@domicile/runtime/metrics.ts';
import type { Logger } from 'pino';
import type { ClientIdentity, Peer } from '../admission/identity.ts';
import type { BrokerConfig } from '../config.ts';
import { createBrokerEvents } from '../events.ts';
import { listen } from '../listeners.ts';
import type { ConnectFacts } from '../model/sessions/session-records.ts';
import { untilKafkaAnswers } from '../operation/kafka-watch.ts';
import { CellSessions } from '../sessions/cell-sessions.ts';
import { QosTwoWriter } from '../sessions/qos-two-writer.ts';
import { createSessionEvents, exposeSessionGauges } from '../sessions/session-events.ts';
import type { RunningBroker } from '../start.ts';
import { withinMs } from '../within-ms.ts';
import { createFeedEvents, exposeFeedGauges } from './feed-events.ts';
import type { OpenBroker } from './open-broker.ts';
import { openMessages, type OpenMessages, type OpenMessagesOptions } from './open-messages.ts';

/** What a general broker allows beside the settings. */
export const openLimits = {
  packetBytesMax: 786_432,
  topicLevelsMax: 128,
  subscriptionsMax: 1_000,
  sessionExpirySecondsMax: 1_209_600,
} as const;

/** Starts a broker that takes any client and any topic within a cell. */
export async function startOpenBroker(
  config: BrokerConfig,
  fail: (error: unknown) => void,
  log: Logger = createLog('broker'),
): Promise<RunningBroker> {
  await using stack = new AsyncDisposableStack();
  const { country, adminHost: host, adminPort: port } = config;
  const metrics = createRegistry({ service: 'broker', country });
  const brokerEvents = createBrokerEvents(metrics, log);
  const events = createFeedEvents(metrics, log, brokerEvents);
  let notReady: readonly string[] = ['starting'];
  const ready = () => notReady;
  const admin = stack.use(await startAdmin({ host, port, log, registry: metrics, ready }));
  const topic = topicOf(country, 'mqtt-sessions');
  await untilKafkaAnswers(() => endOffsets({ client: config.kafka, topic }));
  const sessions = stack.use(
    await CellSessions.open({
      ...config,
      keepsReceivedIds: true,
      identityOf: openIdentityOf,
      events: createSessionEvents(metrics, log),
      fail,
    }),
  );
  const messages = stack.use(await messagesOf({ config, sessions, events, brokerEvents, fail }));
  const broker: OpenBroker = messages.broker(() => server.connections);
  const server: Server = stack.use(serverOf(broker, config));
  sessions.start((origin, message) => broker.publishWill(origin, message));
  const listeners = await listen({
    ...config,
    mqttsPort: undefined,
    wssPort: undefined,
    tls: undefined,
    handshakes: {
      perSecondMax: config.handshakesPerSecondMax,
      waitingMax: config.handshakesWaitingMax,
      addressWaitingMax: config.addressHandshakesWaitingMax,
    },
    serve: (socket, peer) => server.serve(socket, peer),
    events: brokerEvents,
  });
  const { feed, retained } = messages;
  exposeFeedGauges(metrics, {
    behind: () => feed.behind,
    retained: () => retained.count,
    retainedBytes: () => retained.bytes,
  });
  exposeSessionGauges(metrics, sessions);
  const running = stack.move();
  notReady = [];
  const { mqttPort, mqttsPort, wsPort, wssPort } = listeners;
  brokerEvents.listening({ mqttPort, wsPort, country });
  return {
    mqttPort,
    mqttsPort,
    wsPort,
    wssPort,
    adminUrl: admin.url,
    async [Symbol.asyncDispose]() {
      notReady = ['draining'];
      listeners.close();
      await server.drain(config.drainTimeoutMs);
      await withinMs(sessions.release(), config.drainTimeoutMs);
      await running.disposeAsync();
    },
  };
}

async function messagesOf({
  sessions,
  ...parts
}: Omit<OpenMessagesOptions, 'sessions' | 'keeper'> & {
  readonly sessions: CellSessions;
}): Promise<OpenMessages> {
  const { keeper, groups } = sessions;
  const { country, kafka } = parts.config;
  const messages = await openMessages({
    ...parts,
    sessions: keeper,
    keeper: { moved: (key) => keeper.moved(key), groups },
    openQosTwo: (plain) =>
      QosTwoWriter.open({
        kafka,
        sessions,
        plain,
        topics: [topicOf(country, 'mqtt-messages')],
      }),
  });
  keeper.use(messages.feed);
  return messages;
}

function openIdentityOf({ building }: ConnectFacts): ClientIdentity {
  return { building: parseBuildingId(building), gateway: undefined, key: Buffer.from(building) };
}

type Server = MqttServer<ClientIdentity, Peer>;

function serverOf(broker: OpenBroker, config: BrokerConfig): Server {
  return new MqttServer<ClientIdentity, Peer>(broker, {
    limits: {
      ...openLimits,
      connectionsMax: config.connectionsMax,
      receiveMaximum: config.receiveMaximum,
      inFlightMax: config.inFlightMax,
      outboundQueuedMax: config.queueMax,
    },
  });
}
