import { setTimeout as sleep } from 'node:timers/promises';
import { lowerCountry } from '@domicile/core/identities.ts';
import { must } from '@domicile/core/invariants.ts';
import { streams, topicOf } from '@domicile/core/streams.ts';
import type { InputRecord } from '@domicile/kafka/records.ts';
import { beginOffsets, readRange, TopicFollower } from '@domicile/kafka/topic-follower.ts';
import { Bounded } from '@domicile/lake/bounded.ts';
import { LandedAudit } from '@domicile/lake/landed-audit.ts';
import { LandingCheckpoints } from '@domicile/lake/landing-checkpoints.ts';
import { LandingZone } from '@domicile/lake/landing-zone.ts';
import { type LandedStream, landedStreams } from '@domicile/lake/model/landing-key.ts';
import type { ObjectStore } from '@domicile/lake/object-store.ts';
import { openLake } from '@domicile/lake/open-lake.ts';
import { whileStoreFails } from '@domicile/lake/while-store-fails.ts';
import { startAdmin } from '@domicile/runtime/admin.ts';
import { createLog } from '@domicile/runtime/log.ts';
import { createRegistry } from '@domicile/runtime/metrics.ts';
import { startLoop } from '@domicile/runtime/service.ts';
import type { LanderConfig } from './config.ts';
import {
  createLanderEvents,
  createUpkeepEvents,
  type LandedPartition,
  type LanderEvents,
  observeLander,
  type UpkeepEvents,
} from './events.ts';
import { PartitionLander } from './partition-lander.ts';

const tickMs = 250;
const partitionsOpenedAtOnceMax = 8;
/** Between rounds of copying manifests, while there is more to copy. */
const behindMs = 1_000;
/** How long a stop waits for the last files. */
const drainTimeoutMs = 30_000;

/**
 * Lands `readings` and `quarantine` of one country until it is disposed; then what was read is landed first. While the store
 * does not answer it waits, from the start on.
 */
export async function startLander(
  config: LanderConfig,
  fail: (error: unknown) => void,
): Promise<AsyncDisposable> {
  const log = createLog('lander');
  const registry = createRegistry({ service: 'lander', country: config.country });
  const events = createLanderEvents(registry, log);
  const lake = await openLake(config.lake);
  const { store } = lake;
  await using parts = new AsyncDisposableStack();
  const lander = new Lander({ config, store, events, fail });
  const ready = () => [...lander.unreadiness(), ...lake.outages()];
  parts.use(await startAdmin({ ...config.admin, log, registry, ready }));
  observeLander(registry, { lander, lake, retentionMs: streams.readings.retentionMs });
  parts.use(lander);
  const upkeep = createUpkeepEvents(registry, log);
  parts.use(
    startLoop(async (signal) => {
      await lander.open(signal);
      await Promise.all([
        keepAuditing({ config, store, lander, events: upkeep, signal }),
        keepCopying({ config, store, lander, events: upkeep, signal }),
      ]);
    }, fail),
  );
  return parts.move();
}

interface Upkeep {
  readonly config: LanderConfig;
  readonly store: ObjectStore;
  readonly lander: Lander;
  readonly events: UpkeepEvents;
  readonly signal: AbortSignal;
}

/** A round that fails is tried again at the next turn: the counts lag and nothing is lost. */
async function keepAuditing({ config, store, lander, events, signal }: Upkeep): Promise<void> {
  const { auditMs, retentionDays } = config;
  const partitions = lander.partitionsOf('readings');
  const audit = new LandedAudit({ store, partitions, retentionDays });
  for (;;) {
    try {
      events.audited(await audit.round(Date.now()));
    } catch (error) {
      events.auditFailed(error);
    }
    await sleep(auditMs, undefined, { signal });
  }
}

/** Likewise: without copies of manifests starts take longer. */
async function keepCopying({ config, store, lander, events, signal }: Upkeep): Promise<void> {
  const { everyMs, manifestsEach } = config.checkpoints;
  const all = landedStreams.map(
    (stream) =>
      new LandingCheckpoints({
        store,
        stream,
        partitions: lander.partitionsOf(stream),
        manifestsEach,
      }),
  );
  for (;;) {
    let isBehind = false;
    try {
      for (const checkpoints of all) {
        const report = await checkpoints.round();
        events.copied(report);
        isBehind ||= report.isBehind;
      }
    } catch (error) {
      events.copyFailed(error);
    }
    await sleep(isBehind ? behindMs : everyMs, undefined, { signal });
  }
}

interface OpenedPartition extends LandedPartition {
  readonly topic: string;
  readonly zone: LandingZone;
  /** The first offset that the stream still holds. */
  readonly begin: bigint;
}

interface LanderOptions {
  readonly config: LanderConfig;
  readonly store: ObjectStore;
  readonly events: LanderEvents;
  readonly fail: (error: unknown) => void;
}

/** All partitions of both streams, fed by one follower. */
class Lander {
  readonly #options: LanderOptions;
  readonly #retries = new AbortController();
  readonly #partitions = new Map<string, PartitionLander>();
  #follower: TopicFollower | undefined;
  #ticks: AsyncDisposable | undefined;
  #alarmed = false;

  constructor(options: LanderOptions) {
    this.#options = options;
  }

  unreadiness(): readonly string[] {
    if (!this.#follower) return ['finding its place'];
    return [...this.#partitions.values()]
      .filter(({ fault }) => fault !== undefined)
      .map(({ place }) => `${place.stream} ${place.partition} halted: store and stream differ`);
  }

  partitionsOf(stream: LandedStream): number {
    return [...this.#partitions.values()].filter(({ place }) => place.stream === stream).length;
  }

  lagRecords(): number {
    return this.#follower?.lagRecords() ?? 0;
  }

  bufferedBytes(): number {
    return [...this.#partitions.values()].reduce((sum, { bytes }) => sum + bytes, 0);
  }

  oldestUnlandedMs(): number | undefined {
    const times = [...this.#partitions.values()].flatMap(({ oldestMs }) => oldestMs ?? []);
    return times.length === 0 ? undefined : Math.min(...times);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // They may wait for a store that does not answer.
    const timer = setTimeout(() => this.#retries.abort(), drainTimeoutMs);
    try {
      await this.#follower?.[Symbol.asyncDispose]();
      await this.#ticks?.[Symbol.asyncDispose]();
      for (const partition of this.#partitions.values()) await partition.flush();
    } catch (error) {
      // What is not landed now is landed by the next process: it stands in the stream.
      if (!this.#retries.signal.aborted) throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  /** Finds its place and begins to land. `signal` ends it on its way. */
  async open(signal: AbortSignal): Promise<void> {
    const giveUp = (): void => this.#retries.abort(signal.reason);
    signal.addEventListener('abort', giveUp);
    if (signal.aborted) giveUp();
    try {
      await this.#open();
    } finally {
      signal.removeEventListener('abort', giveUp);
    }
  }

  async #open(): Promise<void> {
    const { config, fail } = this.#options;
    const topics = [];
    for (const stream of landedStreams) topics.push(await this.#openStream(stream));
    for (const partition of this.#partitions.values()) await partition.finish();
    this.#follower = await TopicFollower.start({
      client: config.client,
      clientId: `lander-${lowerCountry(config.country)}`,
      topics,
      onRecords: async (records) => this.#take(records),
      fail,
    });
    this.#ticks = startLoop(async (signal) => this.#tick(signal), fail);
  }

  async #openStream(stream: LandedStream) {
    const { config, store } = this.#options;
    const { client, country, pauses } = config;
    const topic = topicOf(country, stream);
    const zone = new LandingZone({ store, country, stream, pauses });
    const begins = await beginOffsets({ client, topic });
    const places = begins.map((begin, partition) => ({ begin, partition }));
    const opened = await new Bounded(partitionsOpenedAtOnceMax).map(places, async (place) =>
      this.#openPartition({ stream, topic, zone, ...place }),
    );
    return { name: topic, from: new Map(opened) };
  }

  async #openPartition(of: OpenedPartition): Promise<readonly [number, bigint]> {
    const { stream, topic, zone, begin, partition } = of;
    const { config, events } = this.#options;
    const { client, country } = config;
    const { signal } = this.#retries;
    const retried = (error: unknown): void => events.retried({ stream, partition }, error);
    const position = await whileStoreFails({ signal, retried }, () => zone.open(partition));
    if (begin > position.next) events.expired({ stream, partition }, position.next, begin);
    const read = (first: bigint, to: bigint) =>
      readRange({ client, topic, partition, from: first < begin ? begin : first, to });
    const place = { stream, partition, country, zone, position, events };
    const lander = new PartitionLander({ ...place, readRange: read, signal });
    this.#partitions.set(`${topic}:${partition}`, lander);
    return [partition, position.next];
  }

  /** The follower waits for it: what is over the limits is landed before more is read. */
  async #take(records: readonly InputRecord[]): Promise<void> {
    const { partitionBytesMax, bytesMax } = this.#options.config;
    const nowMs = Date.now();
    for (const record of records) {
      const lander = this.#partitions.get(`${record.topic}:${record.partition}`);
      must(lander, 'a record of no partition').add(record, nowMs);
    }
    for (const lander of this.#partitions.values())
      if (lander.bytes >= partitionBytesMax) await lander.flush();
    while (this.bufferedBytes() > bytesMax) await this.#largest().flush();
  }

  #largest(): PartitionLander {
    const all = [...this.#partitions.values()].toSorted((a, b) => b.bytes - a.bytes);
    return must(all[0], 'no partition');
  }

  async #tick(signal: AbortSignal): Promise<void> {
    const { config, events } = this.#options;
    for (;;) {
      await sleep(tickMs, undefined, { signal });
      for (const lander of this.#partitions.values())
        if (lander.isDue(Date.now(), config.flushMs)) await lander.flush();
      const ageMs = Date.now() - (this.oldestUnlandedMs() ?? Date.now());
      const isLate = ageMs > streams.readings.retentionMs / 2;
      if (isLate && !this.#alarmed) events.retentionAlarm(ageMs);
      this.#alarmed = isLate;
    }
  }
}
