import type { AuditReport } from '@domicile/lake/landed-audit.ts';
import type { CheckpointReport } from '@domicile/lake/landing-checkpoints.ts';
import type { LandedStream } from '@domicile/lake/model/landing-key.ts';
import type { LandingManifest } from '@domicile/lake/model/landing-plan.ts';
import type { Lake } from '@domicile/lake/open-lake.ts';
import type { Logger } from 'pino';
import { Counter, Gauge, type Registry } from 'prom-client';

/** A partition of one of the landed streams. */
export interface LandedPartition {
  readonly stream: LandedStream;
  readonly partition: number;
}

/** What is asked for when metrics are read. */
export interface LanderState {
  /** Receipt of the oldest record that is read and not landed, Unix milliseconds; undefined: none. */
  oldestUnlandedMs(): number | undefined;
  lagRecords(): number;
  bufferedBytes(): number;
}

export type LanderEvents = ReturnType<typeof createLanderEvents>;

/** What happens in the lander, one function an event. */
export function createLanderEvents(registry: Registry, log: Logger) {
  const counter = (name: string, help: string) =>
    new Counter({ name, help, labelNames: ['stream'], registers: [registry] });
  const rows = counter('lander_rows_total', 'Rows in announced files.');
  const readings = counter('lander_readings_total', 'Readings, or quarantined units, announced.');
  const files = counter('lander_files_total', 'Files announced.');
  const bytes = counter('lander_bytes_total', 'Bytes of announced files.');
  const refused = counter('lander_records_refused_total', 'Records that are no reading from here.');
  const adopted = counter('lander_plans_adopted_total', 'Plans of other writers that were done.');
  const retries = counter('lander_retries_total', 'Steps tried again because the store failed.');
  const halted = new Gauge({
    name: 'lander_partitions_halted',
    help: 'Partitions that wait for an operator, because store and stream differ.',
    registers: [registry],
  });
  const lost = counter('lander_expired_total', 'Partitions whose records expired before landing.');
  return {
    landed(manifest: LandingManifest) {
      const { stream } = manifest;
      for (const file of manifest.files) {
        rows.inc({ stream }, file.rows);
        readings.inc({ stream }, file.readings);
        files.inc({ stream });
        bytes.inc({ stream }, file.bytes);
      }
      if (manifest.refused.length === 0) return;
      refused.inc({ stream }, manifest.refused.length);
      const { partition, refused: told } = manifest;
      log.error({ stream, partition, refused: told.slice(0, 10) }, 'Records are not landed');
    },
    planAdopted({ stream, partition }: LandedPartition) {
      adopted.inc({ stream });
      log.info({ stream, partition }, 'Plan of another writer done');
    },
    retried({ stream, partition }: LandedPartition, error: unknown) {
      retries.inc({ stream });
      log.warn({ stream, partition, err: error }, 'Landing is tried again');
    },
    halted({ stream, partition }: LandedPartition, error: unknown) {
      halted.inc();
      log.fatal({ stream, partition, err: error }, 'Landing of a partition halted');
    },
    expired({ stream, partition }: LandedPartition, from: bigint, to: bigint) {
      lost.inc({ stream });
      log.fatal({ stream, partition, from: `${from}`, to: `${to}` }, 'Records expired unlanded');
    },
    retentionAlarm(ageMs: number) {
      log.error({ ageMs }, 'Unlanded records are older than half of their retention');
    },
  };
}

export type UpkeepEvents = ReturnType<typeof createUpkeepEvents>;

/** What happens in the audit of what has landed, and to the copies of its manifests. */
export function createUpkeepEvents(registry: Registry, log: Logger) {
  const registers = [registry];
  const audited = new Counter({
    name: 'lander_audited_objects_total',
    help: 'Landed objects compared with their manifests, by what was found; expired ones went by retention.',
    labelNames: ['found'],
    registers,
  });
  const auditFailures = new Counter({
    name: 'lander_audit_failures_total',
    help: 'Rounds of the audit that could not be finished.',
    registers,
  });
  const copied = new Counter({
    name: 'lander_checkpoints_total',
    help: 'Copies of many manifests in one object, for quick starts.',
    registers,
  });
  return {
    audited({ found, lost, expired }: AuditReport) {
      for (const finding of ['intact', 'missing', 'altered'] as const)
        audited.inc({ found: finding }, found[finding]);
      audited.inc({ found: 'expired' }, expired);
      if (expired > 0) log.info({ count: expired }, 'Landed objects are past their retention');
      if (lost.length === 0) return;
      log.error({ objects: lost.slice(0, 10), count: lost.length }, 'Landed objects are lost');
    },
    auditFailed(error: unknown) {
      auditFailures.inc();
      log.warn({ err: error }, 'Audit of landed objects is tried again');
    },
    copied({ written }: CheckpointReport) {
      copied.inc(written);
    },
    copyFailed(error: unknown) {
      log.warn({ err: error }, 'Copying of manifests is tried again');
    },
  };
}

export interface Observed {
  readonly lander: LanderState;
  readonly lake: Pick<Lake, 'outageSeconds'>;
  /** Of the landed streams. */
  readonly retentionMs: number;
}

/** Gauges that are taken when metrics are read. */
export function observeLander(registry: Registry, { lander, lake, retentionMs }: Observed): void {
  const gauge = (name: string, help: string, value: () => number) =>
    new Gauge({
      name,
      help,
      registers: [registry],
      collect() {
        this.set(value());
      },
    });
  gauge('lander_lag_records', 'Records between what was read and the end.', () =>
    lander.lagRecords(),
  );
  gauge('lander_buffered_bytes', 'Bytes of records that wait to be landed.', () =>
    lander.bufferedBytes(),
  );
  const ageMs = () => Date.now() - (lander.oldestUnlandedMs() ?? Date.now());
  gauge(
    'lander_oldest_unlanded_seconds',
    'Age of the oldest unlanded record.',
    () => ageMs() / 1000,
  );
  gauge(
    'lander_retention_used_ratio',
    'That age as a part of retention; above 0.5 is an alarm.',
    () => ageMs() / retentionMs,
  );
  gauge(
    'lake_outage_seconds',
    'For how long a bucket of the lake has not answered; 0: it does.',
    () => lake.outageSeconds(),
  );
}
