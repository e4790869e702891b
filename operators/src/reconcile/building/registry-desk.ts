import type { BuildingRecord } from '@domicile/core/building.ts';
import type { CountryCode } from '@domicile/core/countries.ts';
import { PlatformError } from '@domicile/core/errors.ts';
import { headers, streams, topicOf } from '@domicile/core/streams.ts';
import type { ClientOptions } from '@domicile/kafka/client-options.ts';
import { platformErrorOf, withDeadline } from '@domicile/kafka/errors.ts';
import { partitionOf } from '@domicile/kafka/partitioner.ts';
import type { InputRecord, OutputRecord } from '@domicile/kafka/records.ts';
import { TopicFollower } from '@domicile/kafka/topic-follower.ts';
import { TransactionalProducer } from '@domicile/kafka/transactional-producer.ts';
import { claimHeader, encodeClaim, parseClaim } from '../../model/building/claim.ts';
import {
  type Publication,
  type PublicationRequest,
  publicationOf,
  type RegistryEntry,
} from '../../model/building/publication.ts';

export interface RegistryDeskOptions {
  readonly client: ClientOptions;
  readonly country: CountryCode;
  /** Asked right before each transaction. Throws `FENCED` if another process may lead by now. */
  readonly assertLeading: (doing: string) => void;
}

/** What became of a request; of what was written or is there already, where it stands: `{partition}/{offset}`. */
export type Published =
  | Exclude<Publication, { kind: 'write' | 'same' }>
  | { readonly kind: 'written' | 'same'; readonly at: string };

/** The registry of a cell, for its one writer. */
export interface Registry extends AsyncDisposable {
  /** Once it is true, open another one: this one writes no more. */
  readonly isBroken: boolean;
  entry(building: string): RegistryEntry | undefined;
  /** Rejects with `FENCED` if another process has opened the registry since. */
  publish(request: PublicationRequest): Promise<Published>;
}

export type OpenRegistry = (options: RegistryDeskOptions) => Promise<Registry>;

interface Waiting {
  readonly request: PublicationRequest;
  readonly settled: PromiseWithResolvers<Published>;
}

/** What is told with a record. */
interface Told {
  readonly claim: string;
  readonly sinceMs: number;
}

/** The header of a record of the registry that tells since when it holds, Unix milliseconds. */
const sinceHeader = 'since';

interface Placed {
  readonly partition: number;
  readonly offset: bigint;
  /** Undefined: there was a tombstone. */
  readonly entry: RegistryEntry | undefined;
}

/** Requests that one transaction takes. */
const requestsPerTransactionMax = 500;
const waitingMax = 10_000;
const catchUpMs = 30_000;
const writeMs = 10_000;

/**
 * The registry in Kafka. Whoever opens it fences the one before it by Kafka's transactional id: what a
 * leader that was paused writes afterwards is refused there. Requests that come meanwhile go out together.
 */
export class RegistryDesk implements Registry {
  readonly #options: RegistryDeskOptions;
  readonly #topic: string;
  readonly #placed = new Map<string, Placed>();
  #producer: TransactionalProducer | undefined;
  #follower: TopicFollower | undefined;
  #partitions = 0;
  #waiting: Waiting[] = [];
  #pumping: Promise<void> | undefined;
  #broken: unknown;

  /** Resolves when the registry was read as it stands. */
  static async open(options: RegistryDeskOptions): Promise<RegistryDesk> {
    const desk = new RegistryDesk(options);
    try {
      await desk.#open();
      return desk;
    } catch (error) {
      await desk[Symbol.asyncDispose]();
      throw platformErrorOf(error, 'open the registry');
    }
  }

  private constructor(options: RegistryDeskOptions) {
    this.#options = options;
    this.#topic = topicOf(options.country, 'registry');
  }

  get isBroken(): boolean {
    return this.#broken !== undefined;
  }

  entry(building: string): RegistryEntry | undefined {
    return this.#placed.get(building)?.entry;
  }

  publish(request: PublicationRequest): Promise<Published> {
    if (this.#broken !== undefined) return Promise.reject(this.#error());
    if (this.#waiting.length >= waitingMax)
      return Promise.reject(
        new PlatformError('RATE_LIMITED', 'Cannot publish: too many buildings wait already'),
      );
    const settled = Promise.withResolvers<Published>();
    this.#waiting.push({ request, settled });
    this.#pumping ??= this.#pump();
    return settled.promise;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#broken ??= new PlatformError('UPSTREAM_UNAVAILABLE', 'Cannot publish: it is closed');
    await this.#pumping;
    await this.#producer?.discard();
    await this.#follower?.[Symbol.asyncDispose]();
  }

  async #open(): Promise<void> {
    const { client, country, assertLeading } = this.#options;
    assertLeading('open the registry');
    // First the fence: what is read afterwards is all that the one before has written.
    this.#producer = await TransactionalProducer.open({
      client: { ...client, clientId: 'operator-registry' },
      transactionalId: `operator-registry-${country.toLowerCase()}`,
    });
    this.#follower = await TopicFollower.start({
      client,
      clientId: 'operator-registry',
      topics: [{ name: this.#topic, from: 'earliest' }],
      onRecords: (records) => {
        for (const record of records) this.#note(record);
      },
      fail: (error) => void (this.#broken ??= error),
    });
    await Promise.race([this.#follower.caughtUp, late()]);
    this.#partitions = (await this.#follower.ends(this.#topic)).length;
  }

  #note({ key, value, partition, offset, timestampMs, headers: told }: InputRecord): void {
    const building = key?.toString() ?? '';
    // What was just written here is known already, and newer than what comes back first.
    if ((this.#placed.get(building)?.offset ?? -1n) >= offset) return;
    const sinceMs = Number(told.get(sinceHeader) ?? timestampMs);
    const entry =
      value === null
        ? undefined
        : entryOf(value.toString(), { claim: told.get(claimHeader), sinceMs });
    this.#placed.set(building, { partition, offset, entry });
  }

  async #pump(): Promise<void> {
    // What is asked within one turn goes together.
    await Promise.resolve();
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.slice(0, requestsPerTransactionMax);
      this.#waiting = this.#waiting.slice(batch.length);
      try {
        if (this.#broken !== undefined) throw this.#error();
        await this.#settle(batch);
      } catch (error) {
        this.#broken ??= error;
        for (const { settled } of batch) settled.reject(this.#error());
      }
    }
    this.#pumping = undefined;
  }

  async #settle(batch: readonly Waiting[]): Promise<void> {
    const writing = new Map<
      string,
      { readonly record: OutputRecord; readonly entry: RegistryEntry | undefined }
    >();
    const answers = batch.map(({ request }) => {
      const { building, claim, sinceMs } = request;
      const present = writing.has(building) ? writing.get(building)?.entry : this.entry(building);
      const publication = publicationOf(request, present);
      if (publication.kind !== 'write') return publication;
      const { value } = publication;
      const told = { claim: encodeClaim(claim), sinceMs: sinceMs ?? Date.now() };
      const record = this.#recordOf(building, value, told);
      writing.set(building, {
        record,
        entry: value === null ? undefined : entryOf(value, told),
      });
      return publication;
    });
    if (writing.size > 0) await this.#write(writing);
    for (const [index, { request, settled }] of batch.entries()) {
      const answer = answers[index];
      if (answer?.kind === 'write') settled.resolve({ kind: 'written', at: this.#at(request) });
      else if (answer?.kind === 'same') settled.resolve({ kind: 'same', at: this.#at(request) });
      else if (answer) settled.resolve(answer);
    }
  }

  async #write(
    writing: ReadonlyMap<string, { record: OutputRecord; entry: RegistryEntry | undefined }>,
  ): Promise<void> {
    this.#options.assertLeading('write to the registry');
    const all = [...writing];
    // What is given up here is aborted by the transactional id, when the registry is opened again.
    const written = this.#transaction(all.map(([, { record }]) => record));
    const offsets = await withDeadline(written, writeMs, 'The write to the registry');
    for (const [index, [building, { record, entry }]] of all.entries())
      this.#placed.set(building, {
        partition: record.partition ?? 0,
        offset: offsets?.[index] ?? -1n,
        entry,
      });
  }

  async #transaction(records: OutputRecord[]): Promise<readonly bigint[] | undefined> {
    const offsets = await this.#producer?.send(records);
    await this.#producer?.commit();
    return offsets;
  }

  #recordOf(building: string, value: string | null, { claim, sinceMs }: Told): OutputRecord {
    const key = Buffer.from(building);
    return {
      topic: this.#topic,
      partition: partitionOf(key, this.#partitions),
      key,
      ...(value !== null && { value: Buffer.from(value) }),
      headers: {
        [headers.schema]: streams.registry.schema,
        [claimHeader]: claim,
        [sinceHeader]: `${sinceMs}`,
      },
    };
  }

  #at({ building }: PublicationRequest): string {
    const placed = this.#placed.get(building);
    return placed ? `${placed.partition}/${placed.offset}` : '';
  }

  #error(): PlatformError {
    return platformErrorOf(this.#broken, 'write to the registry');
  }
}

/** Records of the registry are our own writing; one that cannot be read is written anew. */
function entryOf(
  value: string,
  { claim, sinceMs }: { readonly claim: string | undefined; readonly sinceMs: number },
): RegistryEntry | undefined {
  const record = recordIn(value);
  if (!record) return undefined;
  const { client, state, passwordHash } = record;
  return { value, client, state, passwordHash, claim: parseClaim(claim), sinceMs };
}

/** Undefined for what is no JSON object. */
export function recordIn(value: string): BuildingRecord | undefined {
  try {
    const record: BuildingRecord | null = JSON.parse(value);
    return record !== null && typeof record === 'object' ? record : undefined;
  } catch {
    return undefined;
  }
}

async function late(): Promise<never> {
  const waiting = Promise.withResolvers<never>();
  setTimeout(
    () =>
      waiting.reject(
        new PlatformError('UPSTREAM_UNAVAILABLE', 'Cannot read the registry: it takes too long'),
      ),
    catchUpMs,
  ).unref();
  return waiting.promise;
}
