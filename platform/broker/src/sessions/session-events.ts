import type { Logger } from 'pino';
import { Counter, Gauge, type Registry } from 'prom-client';
import type { Handover } from './claims.ts';
import type { SessionEvents } from './session-keeper.ts';

/** What happens to sessions between replicas: its metric and, where someone acts on it, its log line. */
export function createSessionEvents(registry: Registry, log: Logger): SessionEvents {
  const counter = <Label extends string>(name: string, help: string, ...labelNames: Label[]) =>
    new Counter({ name, help, labelNames, registers: [registry] });
  const taken = counter(
    'broker_sessions_taken_total',
    'Sessions that clients opened here, by how their owner before let go.',
    'handover',
  );
  const notOpened = counter('broker_sessions_not_opened_total', 'Clients refused: not taken.');
  const givenUp = counter('broker_sessions_given_up_total', 'Taken by another replica.');
  const notKept = counter('broker_sessions_not_kept_total', 'Writes that Kafka did not take.');
  const aborted = counter('broker_transactions_aborted_total', 'Of QoS 2 messages; tried again.');
  const ended = counter('broker_orphans_ended_total', 'Sessions of replicas that are gone.');
  return {
    sessionTaken: (handover: Handover) => taken.inc({ handover }),
    sessionNotOpened(error) {
      notOpened.inc();
      log.error({ err: error }, 'A session was not opened; its client is told to come again');
    },
    sessionGivenUp: () => givenUp.inc(),
    sessionNotKept(error) {
      notKept.inc();
      log.error({ err: error }, 'A session was not kept; it is tried again at its next change');
    },
    transactionFailed(error) {
      aborted.inc();
      log.warn({ err: error }, 'A transaction was not committed; what was in it is tried again');
    },
    orphanFailed(error) {
      notKept.inc();
      log.error({ err: error }, 'A session without a replica was not seen to; it is tried again');
    },
    orphanEnded: () => ended.inc(),
  };
}

/** What is asked at the time of a scrape. */
export interface SessionGauges {
  readonly view: { readonly size: number };
  readonly replicas: { living(): { readonly size: number } };
}

export function exposeSessionGauges(registry: Registry, { view, replicas }: SessionGauges): void {
  const gauge = (name: string, help: string, read: () => number) =>
    new Gauge({
      name,
      help,
      registers: [registry],
      collect() {
        this.set(read());
      },
    });
  gauge('broker_cell_sessions', 'Sessions of all replicas, connected or not.', () => view.size);
  gauge(
    'broker_replicas',
    'Replicas that show signs of life, this one included.',
    () => replicas.living().size,
  );
}
