import { parseBuildingId } from '@domicile/core/identities.ts';
import { reason } from '@domicile/mqtt/reason-codes.ts';
import { type Goodbye, MqttServer } from '@domicile/mqtt/server.ts';
import { createLog } from '@domicile/runtime/log.ts';
import { createRegistry } from '@domicile/runtime/metrics.ts';
import type { Logger } from 'pino';
import type { ClientIdentity, Peer } from './admission/identity.ts';
import { type RunningAdmission, startAdmission } from './admission/start-admission.ts';
import type { TlsMaterial } from './admission/tls-material.ts';
import { Broker } from './broker.ts';
import type { BrokerConfig } from './config.ts';
import {
  type BrokerEvents,
  type BrokerGauges,
  createBrokerEvents,
  exposeGauges,
} from './events.ts';
import { listen, type Listeners } from './listeners.ts';
import { createFeedEvents } from './messages/feed-events.ts';
import { CommandBook } from './model/command-book.ts';
import { RegistryView } from './model/registry-view.ts';
import type { ConnectFacts } from './model/sessions/session-records.ts';
import { untilKafkaAnswers } from './operation/kafka-watch.ts';
import { startOperation } from './operation/start-operation.ts';
import { startPlatformFeed } from './platform-feed.ts';
import { CellSessions } from './sessions/cell-sessions.ts';
import { createSessionEvents, exposeSessionGauges } from './sessions/session-events.ts';
import type { SessionEvents } from './sessions/session-keeper.ts';
import { followDownstream, followRegistry } from './stream-followers.ts';
import { StreamWriter } from './stream-writer.ts';
import { withinMs } from './within-ms.ts';

export interface RunningBroker extends AsyncDisposable {
  readonly mqttPort: number | undefined;
  readonly mqttsPort: number | undefined;
  readonly wsPort: number | undefined;
  readonly wssPort: number | undefined;
  readonly adminUrl: string;
}

/** Ids of ended commands that are remembered, for states that are read before their commands. */
const closedCommandsMax = 50_000;
const expireEveryMs = 1000;
/** Connections above the bound, of those that are still connecting. */
const connectingMax = 1000;
/** Until the broker listens. */
const notReady = ['registry-loading', 'commands-loading', 'sessions-loading'] as const;

/**
 * Starts the broker of one country. Disposing drains it: it takes no new connections and reads nothing more,
 * waits for Kafka and acks what it has taken, tells its clients that it goes, and closes.
 */
export async function startBroker(
  config: BrokerConfig,
  fail: (error: unknown) => void,
  log: Logger = createLog('broker'),
): Promise<RunningBroker> {
  await using stack = new AsyncDisposableStack();
  const metrics = createRegistry({ service: 'broker', country: config.country });
  const events = createBrokerEvents(metrics, log);
  if (config.mutant) events.mutantRuns(config.mutant);
  const following = { client: config.kafka, country: config.country, fail };
  const registry = new RegistryView(config.country);
  const commands = new CommandBook(closedCommandsMax);
  const operation = stack.use(await startOperation(config, metrics, log));
  const { readiness } = operation;
  const loaded = notReady.map((why) => readiness.wait(why));
  await untilKafkaAnswers(operation.askKafka);
  const writer = stack.use(await StreamWriter.open(config));
  const admission = stack.use(await startAdmission({ config, registry, events }));
  const { gatekeeper, tls } = admission;
  const sessionEvents = createSessionEvents(metrics, log);
  const sessions = stack.use(await openSessions(config, sessionEvents, fail));
  const feedEvents = createFeedEvents(metrics, log, events);
  const feed = stack.use(await startPlatformFeed(config, sessions, { events: feedEvents, fail }));
  const broker = new Broker({
    gatekeeper,
    registry,
    commands,
    sessions: sessions.keeper,
    feed,
    writer,
    events,
    acksEarly: config.mutant === 'ack-before-kafka',
  });
  const changed = (building: string) => gatekeeper.buildingChanged(building);
  stack.use(await followRegistry(following, registry, changed, events));
  const { lookbackRecords } = config;
  const downstream = { broker, commands, lookbackRecords, writerId: writer.id };
  stack.use(await followDownstream(following, downstream));
  sessions.start((origin, message) => broker.publishWill(origin, message));
  const server = stack.use(serverOf(broker, config));
  const expiring = setInterval(() => commands.expire(Date.now()), expireEveryMs).unref();
  stack.defer(() => clearInterval(expiring));
  const listeners = await openListeners(config, server, { tls, events });
  exposeGauges(metrics, gaugesOf({ server, listeners, admission, commands, registry }));
  exposeSessionGauges(metrics, sessions);
  operation.show(
    { server, listeners, replica: sessions.replica },
    sessions.shown({ gatekeeper, events }),
  );
  const running = stack.move();
  for (const done of loaded) done();
  const { mqttPort, mqttsPort, wsPort, wssPort } = listeners;
  const ports = { mqttPort, mqttsPort, wsPort, wssPort };
  events.listening({ ...ports, country: config.country });
  return {
    ...ports,
    adminUrl: operation.url,
    async [Symbol.asyncDispose]() {
      readiness.wait('draining');
      listeners.close();
      events.draining(server.inFlight);
      await server.drain(config.drainTimeoutMs, goodbyeOf(config));
      await withinMs(sessions.release(), config.drainTimeoutMs);
      await running.disposeAsync();
    },
  };
}

function openSessions(
  config: BrokerConfig,
  events: SessionEvents,
  fail: (error: unknown) => void,
): Promise<CellSessions> {
  return CellSessions.open({ ...config, keepsReceivedIds: false, identityOf, events, fail });
}

function identityOf({ building, gateway }: ConnectFacts): ClientIdentity {
  return { building: parseBuildingId(building), gateway, key: Buffer.from(building) };
}

/** Where clients go meanwhile, if anybody said where. */
export function goodbyeOf({ serverReference }: Pick<BrokerConfig, 'serverReference'>): Goodbye {
  return serverReference === undefined
    ? {}
    : { reasonCode: reason.useAnotherServer, serverReference };
}

type Server = MqttServer<ClientIdentity, Peer>;

function openListeners(
  config: BrokerConfig,
  server: Server,
  { tls, events }: { tls: TlsMaterial | undefined; events: BrokerEvents },
): Promise<Listeners> {
  return listen({
    ...config,
    tls,
    handshakes: {
      perSecondMax: config.handshakesPerSecondMax,
      waitingMax: config.handshakesWaitingMax,
      addressWaitingMax: config.addressHandshakesWaitingMax,
    },
    serve: (socket, peer) => server.serve(socket, peer),
    events,
  });
}

interface Gauged {
  readonly server: Server;
  readonly listeners: Listeners;
  readonly admission: RunningAdmission;
  readonly commands: CommandBook;
  readonly registry: RegistryView;
}

function gaugesOf({ server, listeners, admission, commands, registry }: Gauged): BrokerGauges {
  const { gatekeeper, tls } = admission;
  return {
    connections: () => server.connections,
    sessions: () => server.sessions,
    inFlight: () => server.inFlight,
    pendingCommands: () => commands.size,
    buildings: () => registry.size,
    subscriptions: () => gatekeeper.subscriptions,
    bytesReceived: () => listeners.bytesReceived,
    bytesSent: () => listeners.bytesSent,
    handshakesWaiting: () => listeners.handshakesWaiting,
    certificateExpiresSeconds: () => (tls ? tls.expiresAtMs / 1000 : 0),
    listsNextUpdateSeconds: () => (tls?.listsNextUpdateMs ?? 0) / 1000,
  };
}

function serverOf(broker: Broker, config: BrokerConfig): Server {
  return new MqttServer<ClientIdentity, Peer>(broker, {
    limits: {
      // The gatekeeper keeps the bound: who comes above it is told so, which takes a connection too.
      connectionsMax: config.connectionsMax + connectingMax,
      receiveMaximum: config.receiveMaximum,
      inFlightMax: config.inFlightMax,
      outboundQueuedMax: config.queueMax,
    },
  });
}
