import { PlatformError } from '@domicile/core/errors.ts';
import type { PruneReport } from '@domicile/lake/summary-pruning.ts';
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
  const expired = new Counter({
    name: 'serving_expired_parts_total',
    help: 'Days of buildings, in each interval and file, that are named no more because their retention has ended.',
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
      expired.inc(report.expiredParts);
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

export type PruningEvents = ReturnType<typeof createPruningEvents>;

/** What happens to what is superseded. */
export function createPruningEvents(registry: Registry, log: Logger) {
  const registers = [registry];
  const pruned = new Counter({
    name: 'serving_pruned_objects_total',
    help: 'Superseded objects of the serving layer that were removed.',
    labelNames: ['kind'],
    registers,
  });
  const prunedBytes = new Counter({
    name: 'serving_pruned_bytes_total',
    help: 'Bytes of these.',
    registers,
  });
  const pruneFailures = new Counter({
    name: 'serving_prune_failures_total',
    help: 'Rounds of pruning that could not be finished; FORBIDDEN: the identity may not remove.',
    labelNames: ['code'],
    registers,
  });
  return {
    pruned({ snapshots, files, bytes }: PruneReport) {
      pruned.inc({ kind: 'snapshot' }, snapshots);
      pruned.inc({ kind: 'file' }, files);
      prunedBytes.inc(bytes);
      if (snapshots + files > 0) log.info({ snapshots, files, bytes }, 'Serving layer pruned');
    },
    pruneFailed(error: unknown) {
      const code = error instanceof PlatformError ? error.code : 'INTERNAL';
      pruneFailures.inc({ code });
      log.warn({ err: error }, 'Pruning of the serving layer is tried again');
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
