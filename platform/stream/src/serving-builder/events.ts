import type { FlushReport } from '@domicile/lake/summary-writer.ts';
import type { Logger } from 'pino';
import { Counter, Gauge, Histogram, type Registry } from 'prom-client';

/** What is asked for when metrics are read. */
export interface BuilderState {
  lagRecords(): number;
  heldRows(): number;
  outageSeconds(): number;
}

export type ServingBuilderEvents = ReturnType<typeof createServingBuilderEvents>;

/** What happens in the serving builder, one function an event. */
export function createServingBuilderEvents(registry: Registry, log: Logger) {
  const registers = [registry];
  const number = new Gauge({
    name: 'serving_snapshot_number',
    help: 'The newest snapshot of summaries.',
    registers,
  });
  const pending = new Gauge({
    name: 'serving_windows_pending',
    help: 'Coarser windows that are merged from finer ones by readers, until they are written.',
    registers,
  });
  const rows = new Counter({
    name: 'serving_rows_total',
    help: 'Rows of minutes written.',
    registers,
  });
  const windows = new Counter({
    name: 'serving_windows_total',
    help: 'Coarser windows written, each with all of its rows.',
    registers,
  });
  const compacted = new Counter({
    name: 'serving_compacted_rows_total',
    help: 'Rows merged into larger files.',
    registers,
  });
  const seconds = new Histogram({
    name: 'serving_flush_seconds',
    help: 'Time to make a snapshot.',
    buckets: [0.05, 0.2, 1, 5, 20],
    registers,
  });
  const retries = new Counter({
    name: 'serving_retries_total',
    help: 'Snapshots tried again because the store failed.',
    registers,
  });
  const refused = new Counter({
    name: 'serving_records_refused_total',
    help: 'Records that are no summary of this country.',
    registers,
  });
  return {
    flushed(report: FlushReport, tookSeconds: number) {
      number.set(report.number);
      pending.set(report.pending);
      rows.inc(report.rows);
      windows.inc(report.merged);
      compacted.inc(report.compactedRows);
      seconds.observe(tookSeconds);
    },
    retried(error: unknown) {
      retries.inc();
      log.warn({ err: error }, 'Snapshot is tried again');
    },
    refused(place: { topic: string; partition: number; offset: bigint }) {
      refused.inc();
      const { topic, partition, offset } = place;
      log.error({ topic, partition, offset: `${offset}` }, 'Record is no summary of this country');
    },
  };
}

/** Gauges that are taken when metrics are read. */
export function observeServingBuilder(registry: Registry, state: BuilderState): void {
  const gauge = (name: string, help: string, value: () => number) =>
    new Gauge({
      name,
      help,
      registers: [registry],
      collect() {
        this.set(value());
      },
    });
  gauge('serving_lag_records', 'Records between what was read and the end.', () =>
    state.lagRecords(),
  );
  gauge('serving_held_rows', 'Rows that wait for the next snapshot.', () => state.heldRows());
  gauge(
    'lake_outage_seconds',
    'For how long a bucket of the lake has not answered; 0: it does.',
    () => state.outageSeconds(),
  );
}
