/** Take-over of a partition (docs/adr/0007): the state as its former owner committed it last. */
import type { CountryCode } from '@domicile/core/countries.ts';
import { PlatformError } from '@domicile/core/errors.ts';
import { type StreamName, topicOf } from '@domicile/core/streams.ts';
import type { ClientOptions } from '@domicile/kafka/client-options.ts';
import { Joiner } from '@domicile/kafka/parts.ts';
import type { InputRecord } from '@domicile/kafka/records.ts';
import { beginOffsets, endOffsets, readRange } from '@domicile/kafka/topic-follower.ts';
import type { Journal, SnapshotPlace } from '../model/journal.ts';
import { countOf } from '../model/number-ranges.ts';
import {
  type EncodedState,
  PartitionState,
  type PlacedReading,
  stateVersion,
} from '../model/partition-state.ts';

export interface RecoveryOptions {
  readonly client: ClientOptions;
  readonly country: CountryCode;
  readonly partition: number;
  /** Input stream → stable committed offset. */
  readonly committed: ReadonlyMap<StreamName, bigint | undefined>;
}

export interface Recovered {
  readonly state: PartitionState;
  readonly snapshot: SnapshotPlace | null;
  /** Of the newest snapshot. */
  readonly snapshotParts: number;
  /** What is written next to these streams stands here or after it. */
  readonly journalNext: number;
  readonly stateNext: number;
  readonly foldedCommits: number;
}

/** How far back from its end the journal is searched for its last record; doubled until one is found. */
const journalTailRecords = 64n;

/** Throws `STATE_LOST` when the committed positions and what was written do not belong together. */
export async function recoverPartition(options: RecoveryOptions): Promise<Recovered> {
  const log = new TaskLog(options);
  const [journalEnd, stateEnd] = await Promise.all([log.end('journal'), log.end('state')]);
  const last = await lastJournal(log, journalEnd);
  const place = last?.snapshot ?? null;
  const found =
    last === undefined
      ? await lastSnapshot(log, { from: await log.begin('state'), to: stateEnd })
      : place && (await lastSnapshot(log, { from: BigInt(place.stateFrom), to: stateEnd }));
  if (place !== null && found?.state.commit !== place.commit)
    throw lost(options, 'the newest snapshot is not complete');
  const state = found?.state ?? new PartitionState();
  const startedAt = state.commit;
  if (last !== undefined) {
    const from = place === null ? await log.begin('journal') : BigInt(place.journalFrom);
    await replay(log, state, { from, to: journalEnd });
    if (state.commit < last.commit) throw lost(options, 'the journal has a gap');
  }
  await requireAgreement(log, state);
  return {
    state,
    snapshot: place,
    snapshotParts: found?.parts ?? 0,
    journalNext: Number(journalEnd),
    stateNext: Number(stateEnd),
    foldedCommits: state.commit - startedAt,
  };
}

interface Range {
  readonly from: bigint;
  /** Excluded. */
  readonly to: bigint;
}

/** The streams of one partition, as its task reads them. */
class TaskLog {
  readonly options: RecoveryOptions;

  constructor(options: RecoveryOptions) {
    this.options = options;
  }

  /** Behind everything that was ever written, committed or not. */
  async end(stream: StreamName): Promise<bigint> {
    const ends = await endOffsets({ ...this.#question(stream), isolation: 'uncommitted' });
    return ends[this.options.partition] ?? 0n;
  }

  async begin(stream: StreamName): Promise<bigint> {
    return (await beginOffsets(this.#question(stream)))[this.options.partition] ?? 0n;
  }

  /** What was committed. */
  async *read(stream: StreamName, { from, to }: Range): AsyncGenerator<InputRecord> {
    if (from >= to) return;
    const { partition } = this.options;
    for await (const records of readRange({ ...this.#question(stream), partition, from, to }))
      yield* records;
  }

  #question(stream: StreamName) {
    return { client: this.options.client, topic: topicOf(this.options.country, stream) };
  }
}

async function lastJournal(log: TaskLog, end: bigint): Promise<Journal | undefined> {
  const begin = await log.begin('journal');
  for (let back = journalTailRecords; ; back *= 2n) {
    const from = end - back > begin ? end - back : begin;
    let last: Journal | undefined;
    for await (const journal of journals(log, { from, to: end })) last = journal;
    if (last !== undefined || from <= begin) return last;
  }
}

async function* journals(log: TaskLog, range: Range): AsyncGenerator<Journal> {
  const joiner = new Joiner();
  for await (const record of log.read('journal', range)) {
    const whole = joiner.add(record);
    if (whole === undefined) continue;
    const journal: Journal = JSON.parse(whole.text);
    yield journal;
  }
}

async function lastSnapshot(
  log: TaskLog,
  range: Range,
): Promise<{ state: PartitionState; parts: number } | null> {
  const joiner = new Joiner();
  let newest: { commit: number; text: string; parts: number } | undefined;
  for await (const record of log.read('state', range)) {
    const whole = joiner.add(record);
    if (whole === undefined || whole.commit < (newest?.commit ?? 0)) continue;
    newest = { ...whole, parts: Number(record.headers.get('parts')) };
  }
  if (newest === undefined) return null;
  const encoded: EncodedState = JSON.parse(newest.text);
  if (encoded.version !== stateVersion)
    throw lost(log.options, 'the snapshot is of another version');
  return { state: PartitionState.decode(encoded), parts: newest.parts };
}

/** Folds the commits after the one that `state` ends with. */
async function replay(log: TaskLog, state: PartitionState, range: Range): Promise<void> {
  const pending: Journal[] = [];
  for await (const journal of journals(log, range))
    if (journal.commit > state.commit) pending.push(journal);
  for (const [index, { commit }] of pending.entries())
    if (commit !== state.commit + index + 1) throw lost(log.options, 'the journal has a gap');
  const named = pending.flatMap(({ readings }) => readings);
  const first = named[0]?.[0];
  const last = named.at(-1)?.[1];
  let next = 0;
  let own: PlacedReading[] = [];
  const foldUpTo = (offset: number): void => {
    for (let journal = pending[next]; journal !== undefined; journal = pending[next]) {
      if ((journal.readings.at(-1)?.[1] ?? -1) >= offset) return;
      if (own.length !== countOf(journal.readings))
        throw lost(log.options, 'readings that the journal names are not there');
      state.takeNumbers(own);
      state.fold(journal, own);
      own = [];
      next += 1;
    }
  };
  if (first !== undefined && last !== undefined) {
    const wanted = { from: BigInt(first), to: BigInt(last) + 1n };
    for await (const { value, offset } of log.read('readings', wanted)) {
      const at = Number(offset);
      foldUpTo(at);
      if (value === null || !holds(pending[next], at)) continue;
      own.push({ reading: JSON.parse(value.toString()), offset: at });
    }
  }
  foldUpTo(Infinity);
}

function holds(journal: Journal | undefined, offset: number): boolean {
  return journal?.readings.some(([first, last]) => offset >= first && offset <= last) ?? false;
}

/** Positions and state are committed together, so they say the same, or one of them is not what it was. */
async function requireAgreement({ options }: TaskLog, state: PartitionState): Promise<void> {
  const { client, country, partition, committed } = options;
  for (const [stream, offset] of committed) {
    const reached = state.inputs[stream];
    if (reached !== undefined) {
      if (offset === undefined)
        throw lost(options, `the position in ${stream} is missing beside a state`);
      if (Number(offset) !== reached)
        throw lost(options, `the position in ${stream} is not the one of the state`);
    } else if (offset !== undefined && offset > 0n) {
      const begins = await beginOffsets({ client, topic: topicOf(country, stream) });
      if (offset > (begins[partition] ?? 0n))
        throw lost(options, `there is a position in ${stream} and no state that reached it`);
    }
  }
}

function lost({ partition }: RecoveryOptions, what: string): PlatformError {
  return new PlatformError('STATE_LOST', `Cannot take over partition ${partition}: ${what}`, {
    details: { partition },
  });
}
