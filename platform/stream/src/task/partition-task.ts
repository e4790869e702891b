import type { CountryCode } from '@domicile/core/countries.ts';
import { PlatformError } from '@domicile/core/errors.ts';
import { headers as headerNames, streams, topicOf } from '@domicile/core/streams.ts';
import type { PartitionProcessor } from '@domicile/kafka/exactly-once-task.ts';
import { cut } from '@domicile/kafka/parts.ts';
import type { InputRecord, OutputRecord } from '@domicile/kafka/records.ts';
import { CommitDraft, type Received } from '../model/commit-draft.ts';
import { type Journal, offsetRanges, type SnapshotPlace } from '../model/journal.ts';
import type { PartitionState } from '../model/partition-state.ts';
import { refine } from '../model/refine.ts';
import type { TaskEvents } from './events.ts';
import type { PartitionRegistry } from './partition-registry.ts';
import type { Recovered } from './recovery.ts';
import type { SizedInput } from './sized-input.ts';
import { TaskRecords } from './task-records.ts';

/** A snapshot takes at most this part of the time: a large state is written less often and folded further instead. */
const snapshotShareMax = 0.02;
/** A partition in which nothing but time moves writes its state down after so many commits. */
const commitsPerSnapshotMax = 1_000;

export interface PartitionTaskOptions {
  readonly country: CountryCode;
  readonly partition: number;
  readonly recovered: Recovered;
  readonly registry: PartitionRegistry;
  readonly events: TaskEvents;
  readonly inputs: readonly SizedInput[];
  readonly snapshotIntervalMs: number;
  readonly onClose: () => void;
}

/** Refines, folds and tells one partition. Its state goes with it when it is closed. */
export class PartitionTask implements PartitionProcessor {
  readonly #options: PartitionTaskOptions;
  readonly #records: TaskRecords;
  readonly #backfillTopic: string;
  readonly #state: PartitionState;
  #draft = new CommitDraft();
  #snapshot: SnapshotPlace | null;
  #snapshotParts: number;
  #journalNext: number;
  #stateNext: number;
  #snapshotAtMs = performance.now();
  #snapshotTookMs = 0;
  #isChanged: boolean;

  constructor(options: PartitionTaskOptions) {
    const { country, partition, recovered } = options;
    this.#options = options;
    this.#records = new TaskRecords(country, partition);
    this.#backfillTopic = topicOf(country, 'backfill');
    this.#state = recovered.state;
    this.#snapshot = recovered.snapshot;
    this.#snapshotParts = recovered.snapshotParts;
    this.#journalNext = recovered.journalNext;
    this.#stateNext = recovered.stateNext;
    this.#isChanged = recovered.foldedCommits > 0;
  }

  /**
   * Throws `UPSTREAM_UNAVAILABLE` while the registry is not read as far as a record names: the partition is then opened
   * again, and opening waits for it.
   */
  first(records: readonly InputRecord[]): readonly OutputRecord[] {
    const { registry, partition, events, inputs } = this.#options;
    for (const input of inputs) input.took(records);
    const draft = new CommitDraft();
    this.#draft = draft;
    const refinery = { known: registry.known, state: this.#state, draft };
    for (const record of records) {
      const { headers } = record;
      const needed = headers.get(headerNames.registryOffset);
      if (needed !== undefined && !registry.hasRead(offsetOf(needed))) {
        events.registryBehind(partition);
        throw new PlatformError('UPSTREAM_UNAVAILABLE', 'Cannot refine: the registry is behind');
      }
      refine(refinery, this.#received(record));
    }
    return draft.readings.map((reading) => this.#records.reading(reading));
  }

  complete(
    offsets: readonly bigint[],
    inputs: readonly { readonly topic: string; readonly next: bigint }[],
  ): readonly OutputRecord[] {
    const { recordMs, tickMs, strangers, readings, quarantined, duplicates } = this.#draft;
    const { registry } = this.#options;
    const forgotten = [...registry.erased].filter((id) => this.#state.holds(id));
    const facts = {
      commit: this.#state.commit + 1,
      inputs: Object.fromEntries(
        inputs.map(({ topic, next }) => [this.#streamOf(topic), Number(next)]),
      ),
      readings: offsetRanges(offsets),
      recordMs,
      tickMs,
      strangers,
      account: this.#draft.accountRecords(),
      ...(forgotten.length > 0 && { forgotten }),
    };
    const placed = readings.map((reading, index) => ({
      reading,
      offset: Number(offsets[index] ?? -1n),
    }));
    const told = this.#state.fold({ ...facts, snapshot: null }, placed);
    const changes = readings.length + quarantined.length + duplicates + forgotten.length;
    this.#isChanged ||= changes > 0;
    const outputs: OutputRecord[] = [];
    for (const one of told.summaries) outputs.push(this.#records.summary(one));
    for (const one of told.latest) outputs.push(this.#records.latest(one));
    for (const one of told.account) outputs.push(this.#records.account(one));
    for (const one of quarantined) outputs.push(this.#records.quarantined(one));
    if (this.#isSnapshotDue()) this.#takeSnapshot(outputs);
    this.#writeJournal({ ...facts, snapshot: this.#snapshot }, outputs);
    return outputs;
  }

  committed(): void {
    const { readings, duplicates, quarantined } = this.#draft;
    this.#options.events.partitionCommitted({
      partition: this.#options.partition,
      readings: readings.length,
      duplicates,
      quarantined,
      recordAgeSeconds: (Date.now() - this.#state.recordMs) / 1000,
    });
    this.#draft = new CommitDraft();
  }

  close(): void {
    for (const input of this.#options.inputs) input.forget();
    this.#options.onClose();
  }

  #received({ topic, offset, timestampMs, key, value, headers }: InputRecord): Received {
    return {
      stream: topic === this.#backfillTopic ? 'backfill' : 'telemetry',
      partition: this.#options.partition,
      offset: Number(offset),
      receivedAtMs: timestampMs,
      building: key?.toString() ?? '',
      device: headers.get(headerNames.device) ?? '',
      schema: headers.get(headerNames.schema) ?? streams.telemetry.schema,
      value: value ?? nothing,
    };
  }

  #streamOf(topic: string): string {
    return topic === this.#backfillTopic ? 'backfill' : 'telemetry';
  }

  #isSnapshotDue(): boolean {
    if (this.#state.commit - (this.#snapshot?.commit ?? 0) >= commitsPerSnapshotMax) return true;
    const { snapshotIntervalMs } = this.#options;
    const dueMs = Math.max(snapshotIntervalMs, this.#snapshotTookMs / snapshotShareMax);
    return this.#isChanged && performance.now() - this.#snapshotAtMs >= dueMs;
  }

  #takeSnapshot(outputs: OutputRecord[]): void {
    const startedAt = performance.now();
    const { commit } = this.#state;
    const parts = cut(commit, JSON.stringify(this.#state.encode()));
    for (const part of parts) outputs.push(this.#records.state(part));
    for (let part = parts.length; part < this.#snapshotParts; part += 1)
      outputs.push(this.#records.stateTombstone(part));
    this.#snapshot = { commit, stateFrom: this.#stateNext, journalFrom: this.#journalNext };
    // The transaction's marker takes an offset too.
    this.#stateNext += Math.max(parts.length, this.#snapshotParts) + 1;
    this.#snapshotParts = parts.length;
    this.#snapshotAtMs = performance.now();
    this.#snapshotTookMs = this.#snapshotAtMs - startedAt;
    this.#isChanged = false;
    const bytes = parts.reduce((sum, { value }) => sum + value.length, 0);
    this.#options.events.snapshotTaken(this.#options.partition, bytes, this.#snapshotTookMs / 1000);
  }

  #writeJournal(journal: Journal, outputs: OutputRecord[]): void {
    const parts = cut(journal.commit, JSON.stringify(journal));
    for (const part of parts) outputs.push(this.#records.journal(part));
    this.#journalNext += parts.length + 1;
  }
}

const nothing = new Uint8Array();

/** An offset that cannot be read is none to wait for. */
function offsetOf(text: string): bigint {
  return /^\d{1,18}$/.test(text) ? BigInt(text) : -1n;
}
