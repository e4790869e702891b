import type { Logger } from 'pino';
import { Counter, Gauge, type Registry } from 'prom-client';

export type RawEvents = ReturnType<typeof rawEvents>;

/** What happens in the raw API: one function an event. */
export function rawEvents(log: Logger, registry: Registry) {
  const unreadable = new Counter({
    name: 'raw_records_unreadable_total',
    help: 'Records that were not of their stream’s schema',
    labelNames: ['stream'],
    registers: [registry],
  });
  const tailBytes = new Gauge({
    name: 'raw_tail_bytes',
    help: 'Readings held that have not landed',
    registers: [registry],
  });
  const queries = new Gauge({
    name: 'raw_queries_running',
    help: 'Queries that run now',
    registers: [registry],
  });
  return {
    listening(url: string, adminUrl: string) {
      log.info({ url, adminUrl }, 'Raw API listens');
    },
    recordUnreadable(stream: string) {
      unreadable.inc({ stream });
      log.warn({ stream }, 'Record passed over: it is not of the schema of its stream');
    },
    tailChanged(bytes: number) {
      tailBytes.set(bytes);
    },
    tailHeldBack() {
      log.warn('Readings held back: the tail beyond the landing zone is at its bound');
    },
    queriesRun(count: number) {
      queries.set(count);
    },
    lakeUnreadable(error: unknown) {
      log.error({ err: error }, 'Landing zone unreadable; it is tried again');
    },
    /** Who looked at single readings of which buildings: what an auditor asks for. */
    readingsAsked(by: string, buildings: readonly string[]) {
      log.info({ by, buildings }, 'Readings asked for');
    },
  };
}
