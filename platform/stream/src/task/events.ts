import type { Logger } from 'pino';
import { Counter, Gauge, Histogram, type Registry } from 'prom-client';

export type TaskEvents = ReturnType<typeof taskEvents>;

/** What one commit of a partition did. */
export interface CommitFigures {
  readonly partition: number;
  readonly readings: number;
  readonly duplicates: number;
  readonly quarantined: readonly { readonly reason: string }[];
  /** How far the newest record lies back, in seconds. */
  readonly recordAgeSeconds: number;
}

/** The business events of the task. Buildings are ids; readings never come here. */
export function taskEvents(log: Logger, registry: Registry) {
  const metrics = taskMetrics(registry);
  return {
    partitionOpened(partition: number, seconds: number, foldedCommits: number) {
      metrics.takeOver.observe(seconds);
      metrics.partitions.inc();
      log.info({ partition, seconds, foldedCommits }, 'Partition taken over');
    },
    partitionClosed(partition: number) {
      metrics.partitions.dec();
      metrics.recordAge.remove(`${partition}`);
    },
    partitionCommitted(figures: CommitFigures) {
      metrics.readings.inc(figures.readings);
      metrics.duplicates.inc(figures.duplicates);
      for (const { reason } of figures.quarantined) metrics.quarantined.inc({ reason });
      metrics.recordAge.set({ partition: `${figures.partition}` }, figures.recordAgeSeconds);
    },
    committed(of: { inputs: number; outputs: number; seconds: number; lagRecords: number }) {
      metrics.commit.observe(of.seconds);
      metrics.received.inc(of.inputs);
      metrics.written.inc(of.outputs);
      metrics.lag.set(of.lagRecords);
    },
    snapshotTaken(partition: number, bytes: number, seconds: number) {
      metrics.snapshotBytes.set({ partition: `${partition}` }, bytes);
      metrics.snapshot.observe(seconds);
    },
    /** Everything since the last commit is done again. */
    aborted(error: unknown) {
      metrics.aborted.inc();
      log.warn({ err: error }, 'Commit given up');
    },
    registryBehind(partition: number) {
      metrics.registryBehind.inc();
      log.warn({ partition }, 'Registry not read as far as a message names');
    },
    registryRefused(partition: number, offset: bigint) {
      log.error({ partition, offset: Number(offset) }, 'Registry record cannot be read');
    },
    tickFailed(error: unknown) {
      log.warn({ err: error }, 'Tick not written');
    },
    mutated(mutant: string) {
      log.error({ mutant }, 'A promise is broken on purpose');
    },
    failed(error: unknown) {
      log.error({ err: error }, 'Task failed');
    },
  };
}

function taskMetrics(registry: Registry) {
  const registers = [registry];
  const counter = (name: string, help: string) => new Counter({ name, help, registers });
  const seconds = (name: string, help: string, buckets: number[]) =>
    new Histogram({ name, help, buckets, registers });
  return {
    received: counter('task_records_received_total', 'Records of telemetry and backfill taken in'),
    readings: counter('task_readings_total', 'Clean readings committed'),
    duplicates: counter('task_duplicates_total', 'Repeated readings removed'),
    written: counter('task_records_written_total', 'Records written to all streams'),
    aborted: counter('task_commits_aborted_total', 'Commits given up and done again'),
    registryBehind: counter('task_registry_behind_total', 'Times the registry was waited for'),
    quarantined: new Counter({
      name: 'task_quarantined_total',
      help: 'Units that were not taken in, by reason',
      labelNames: ['reason'],
      registers,
    }),
    commit: seconds(
      'task_commit_seconds',
      'From the first record processed to the commit',
      [0.01, 0.03, 0.1, 0.3, 1, 3],
    ),
    snapshot: seconds(
      'task_snapshot_seconds',
      'Time to write the state of a partition down',
      [0.01, 0.05, 0.2, 1],
    ),
    takeOver: seconds(
      'task_take_over_seconds',
      'Time to restore the state of a partition',
      [0.1, 0.3, 1, 3, 10],
    ),
    lag: new Gauge({
      name: 'task_lag_records',
      help: 'Records that are there and not yet taken in, over all partitions of this process',
      registers,
    }),
    partitions: new Gauge({ name: 'task_partitions', help: 'Open partitions', registers }),
    recordAge: new Gauge({
      name: 'task_record_age_seconds',
      help: 'How far the newest record of a partition lies back; the watermark is 30 s behind it',
      labelNames: ['partition'],
      registers,
    }),
    snapshotBytes: new Gauge({
      name: 'task_snapshot_bytes',
      help: 'Size of the last snapshot of a partition, compressed',
      labelNames: ['partition'],
      registers,
    }),
  };
}
