import type { Logger } from 'pino';
import { Counter, Gauge, type Registry } from 'prom-client';

export type ServingEvents = ReturnType<typeof servingEvents>;

/** What happens in the serving API: one function an event. */
export function servingEvents(log: Logger, registry: Registry) {
  const unreadable = new Counter({
    name: 'serving_records_unreadable_total',
    help: 'Records that were not of their stream’s schema',
    labelNames: ['stream'],
    registers: [registry],
  });
  const readers = new Gauge({
    name: 'serving_live_readers',
    help: 'Live streams that are open',
    registers: [registry],
  });
  const dropped = new Counter({
    name: 'serving_live_readers_dropped_total',
    help: 'Live streams that were cut because their reader was too slow',
    registers: [registry],
  });
  const snapshot = new Gauge({
    name: 'serving_snapshot_number',
    help: 'The snapshot of the serving layer that is read',
    registers: [registry],
  });
  const windows = new Gauge({
    name: 'serving_tail_windows',
    help: 'Windows held beyond the newest snapshot',
    registers: [registry],
  });
  const residency = new Gauge({
    name: 'serving_residency_verified',
    help: '1 if at the last proof every part of the cell was where it must be',
    registers: [registry],
  });
  return {
    listening(url: string, adminUrl: string) {
      log.info({ url, adminUrl }, 'Serving API listens');
    },
    recordUnreadable(stream: string) {
      unreadable.inc({ stream });
      log.warn({ stream }, 'Record passed over: it is not of the schema of its stream');
    },
    readersChanged(count: number) {
      readers.set(count);
    },
    readerDropped(building: string) {
      dropped.inc();
      log.info({ building }, 'Live reader dropped: it was too slow');
    },
    snapshotRead(number: number) {
      snapshot.set(number);
    },
    tailChanged(count: number) {
      windows.set(count);
    },
    tailHeldBack() {
      log.warn('Summaries held back: the tail beyond the newest snapshot is at its bound');
    },
    layerUnreadable(error: unknown) {
      log.error({ err: error }, 'Serving layer unreadable; it is tried again');
    },
    residencyProved(verified: boolean, failed: readonly string[]) {
      residency.set(verified ? 1 : 0);
      if (!verified) log.error({ failed }, 'Residency not verified');
    },
  };
}
