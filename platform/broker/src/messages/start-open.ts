import { MqttServer } from '@domicile/mqtt/server.ts';
import { startAdmin } from '@domicile/runtime/admin.ts';
import { createLog } from '@domicile/runtime/log.ts';
import { createRegistry } from '@domicile/runtime/metrics.ts';
import type { Logger } from 'pino';
import type { ClientIdentity, Peer } from '../admission/identity.ts';
import type { BrokerConfig } from '../config.ts';
import { createBrokerEvents } from '../events.ts';
import { listen } from '../listeners.ts';
import type { RunningBroker } from '../start.ts';
import { createFeedEvents, exposeFeedGauges } from './feed-events.ts';
import { LocalSessions } from './local-sessions.ts';
import { openMessages } from './open-messages.ts';

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
  const sessions = new LocalSessions();
  const messages = stack.use(await openMessages({ config, events, brokerEvents, sessions, fail }));
  const server: Server = stack.use(
    serverOf(
      messages.broker(() => server.connections),
      config,
    ),
  );
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
      await running.disposeAsync();
    },
  };
}

type Server = MqttServer<ClientIdentity, Peer>;

function serverOf(
  owner: ConstructorParameters<typeof MqttServer<ClientIdentity, Peer>>[0],
  config: BrokerConfig,
): Server {
  return new MqttServer<ClientIdentity, Peer>(owner, {
    limits: {
      ...openLimits,
      connectionsMax: config.connectionsMax,
      receiveMaximum: config.receiveMaximum,
      inFlightMax: config.inFlightMax,
      outboundQueuedMax: config.queueMax,
    },
  });
}
