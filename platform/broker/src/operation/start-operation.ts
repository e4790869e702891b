import { topicOf } from '@domicile/core/streams.ts';
import { endOffsets } from '@domicile/kafka/topic-follower.ts';
import type { Logger } from 'pino';
import type { Registry } from 'prom-client';
import type { BrokerConfig } from '../config.ts';
import { startBrokerAdmin } from './admin.ts';
import { watchKafka } from './kafka-watch.ts';
import { Readiness } from './readiness.ts';
import type { SessionsView } from './sessions-view.ts';

/** What the admin port tells of, once it is there. */
export interface Operated {
  readonly replica: string;
  readonly server: {
    readonly connections: number;
    readonly sessions: number;
    readonly inFlight: number;
  };
  readonly listeners: {
    readonly mqttPort: number | undefined;
    readonly mqttsPort: number | undefined;
    readonly wsPort: number | undefined;
    readonly wssPort: number | undefined;
  };
}

export interface RunningOperation extends AsyncDisposable {
  readonly url: string;
  readonly readiness: Readiness;
  /** Asks Kafka something small. */
  askKafka(this: void): Promise<unknown>;
  show(operated: Operated, sessions: SessionsView): void;
}

/** Starts what operators ask: the admin port, which answers from the start, and the watch on Kafka. */
export async function startOperation(
  config: BrokerConfig,
  registry: Registry,
  log: Logger,
): Promise<RunningOperation> {
  const { country, adminHost: host, adminPort: port, kafka: client } = config;
  await using stack = new AsyncDisposableStack();
  const readiness = new Readiness();
  const startedAtMs = Date.now();
  let operated: Operated | undefined;
  let sessions: SessionsView | undefined;
  const admin = stack.use(
    await startBrokerAdmin({
      host,
      port,
      log,
      registry,
      readiness,
      sessions: () => sessions,
      status: () => ({
        country,
        replica: operated?.replica ?? '',
        startedAtMs,
        connections: operated?.server.connections ?? 0,
        sessions: operated?.server.sessions ?? 0,
        inFlight: operated?.server.inFlight ?? 0,
        ports: portsOf(operated),
      }),
    }),
  );
  const topic = topicOf(country, 'registry');
  const askKafka = () => endOffsets({ client, topic });
  stack.use(watchKafka({ readiness, ask: askKafka }));
  const running = stack.move();
  return {
    url: admin.url,
    readiness,
    askKafka,
    show(what, view) {
      operated = what;
      sessions = view;
    },
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}

function portsOf(operated: Operated | undefined): Readonly<Record<string, number | undefined>> {
  if (!operated) return {};
  const { mqttPort, mqttsPort, wsPort, wssPort } = operated.listeners;
  return { mqtt: mqttPort, mqtts: mqttsPort, ws: wsPort, wss: wssPort };
}
