import type { Delivery } from '@domicile/mqtt/owner.ts';
import type { Logger } from 'pino';
import { Counter, Gauge, type Registry } from 'prom-client';

/** What happens in the feed. */
export interface FeedEvents {
  delivered(kind: 'message', delivery: Delivery): void;
  /** A session was away for longer than its messages were kept; it goes on with the oldest. */
  positionLost(
    session: string,
    missing: { readonly place: string; readonly from: number; readonly to: number },
  ): void;
  /** Reading back from Kafka or writing what is retained failed, and is tried again. */
  readBackFailed(error: unknown): void;
  /** Messages that reached clients. */
  readonly sent: number;
}

export function createFeedEvents(
  registry: Registry,
  log: Logger,
  { delivered }: Pick<FeedEvents, 'delivered'>,
): FeedEvents {
  const lost = new Counter({
    name: 'mqtt_positions_lost_total',
    help: 'Times that a session was away for longer than its messages were kept.',
    registers: [registry],
  });
  const failed = new Counter({
    name: 'mqtt_feed_failures_total',
    help: 'Reading messages back failed and was tried again.',
    registers: [registry],
  });
  let sent = 0;
  return {
    delivered(kind, delivery) {
      if (delivery === 'acked' || delivery === 'sent') sent += 1;
      delivered(kind, delivery);
    },
    positionLost(session, missing) {
      lost.inc();
      log.warn({ session, ...missing }, 'Session was away for longer than its messages were kept');
    },
    readBackFailed(error) {
      failed.inc();
      log.warn({ err: error }, 'Reading messages back failed');
    },
    get sent() {
      return sent;
    },
  };
}

/** What is asked at the time of a scrape. */
export interface FeedGauges {
  readonly behind: () => number;
  readonly retained: () => number;
  readonly retainedBytes: () => number;
}

export function exposeFeedGauges(registry: Registry, gauges: FeedGauges): void {
  const gauge = (name: string, help: string, read: () => number) =>
    new Gauge({
      name,
      help,
      registers: [registry],
      collect() {
        this.set(read());
      },
    });
  gauge('mqtt_sessions_behind', 'Connected sessions that read back.', gauges.behind);
  gauge('mqtt_retained_messages', 'Retained messages of the cell.', gauges.retained);
  gauge('mqtt_retained_bytes', 'What they take in memory.', gauges.retainedBytes);
}
