import { setTimeout as sleep } from 'node:timers/promises';
import { lowerCountry } from '@domicile/core/identities.ts';
import { must } from '@domicile/core/invariants.ts';
import { streams, topicOf } from '@domicile/core/streams.ts';
import type { InputRecord } from '@domicile/kafka/records.ts';
import { beginOffsets, readRange, TopicFollower } from '@domicile/kafka/topic-follower.ts';
import { LandedAudit } from '@domicile/lake/landed-audit.ts';
import { LandingZone } from '@domicile/lake/landing-zone.ts';
import { type LandedStream, landedStreams } from '@domicile/lake/model/landing-key.ts';
import type { ObjectStore } from '@domicile/lake/object-store.ts';
import { openLake } from '@domicile/lake/open-lake.ts';
import { startAdmin } from '@domicile/runtime/admin.ts';
import { createLog } from '@domicile/runtime/log.ts';
import { createRegistry } from '@domicile/runtime/metrics.ts';
import { startLoop } from '@domicile/runtime/service.ts';
import type { LanderConfig } from './config.ts';
import {
  type AuditEvents,
  createAuditEvents,
  createLanderEvents,
  type LanderEvents,
  observeLander,
} from './events.ts';
import { PartitionLander } from './partition-lander.ts';

const tickMs = 250;
/** How long a stop waits for the last files. */
const drainTimeoutMs = 30_000;

/** Lands `readings` and `quarantine` of one country until it is disposed; then what was read is landed first. */
export async function startLander(
  config: LanderConfig,
  fail: (error: unknown) => void,
): Promise<AsyncDisposable> {
  const log = createLog('lander');
  const registry = createRegistry({ service: 'lander', country: config.country });
  const events = createLanderEvents(registry, log);
  const { store } = await openLake(config.lake);
  await using parts = new AsyncDisposableStack();
  let lander: Lander | undefined;
  const ready = () => lander?.unreadiness() ?? ['finding its place'];
  parts.use(await startAdmin({ ...config.admin, log, registry, ready }));
  lander = parts.use(await Lander.start({ config, store, events, fail }));
  observeLander(registry, lander, streams.readings.retentionMs);
  const audit = new LandedAudit({ store, partitions: lander.partitionsOf('readings') });
  const auditEvents = createAuditEvents(registry, log);
  parts.use(
    startLoop(
      async (signal) =>
        keepAuditing({ audit, events: auditEvents, everyMs: config.auditMs, signal }),
      fail,
    ),
  );
  return parts.move();
}

/** A round that fails is tried again at the next turn: the counts lag and nothing is lost. */
async function keepAuditing(of: {
  audit: LandedAudit;
  events: AuditEvents;
  everyMs: number;
  signal: AbortSignal;
}): Promise<void> {
  const { audit, events, everyMs, signal } = of;
  for (;;) {
    try {
      events.audited(await audit.round(Date.now()));
    } catch (error) {
      events.auditFailed(error);
    }
    await sleep(everyMs, undefined, { signal });
  }
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

  static async start(options: LanderOptions): Promise<Lander> {
    const lander = new Lander(options);
    await lander.#open();
    return lander;
  }

  private constructor(options: LanderOptions) {
    this.#options = options;
  }

  unreadiness(): readonly string[] {
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
    await this.#follower?.[Symbol.asyncDispose]();
    await this.#ticks?.[Symbol.asyncDispose]();
    const timer = setTimeout(() => this.#retries.abort(), drainTimeoutMs);
    try {
      for (const partition of this.#partitions.values()) await partition.flush();
    } catch (error) {
      // What is not landed now is landed by the next process: it stands in the stream.
      if (!this.#retries.signal.aborted) throw error;
    } finally {
      clearTimeout(timer);
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
    const { config, store, events } = this.#options;
    const { client, country, pauses } = config;
    const topic = topicOf(country, stream);
    const zone = new LandingZone({ store, country, stream, pauses });
    const begins = await beginOffsets({ client, topic });
    const from = new Map<number, bigint>();
    for (const [partition, begin] of begins.entries()) {
      const position = await zone.open(partition);
      if (begin > position.next) events.expired({ stream, partition }, position.next, begin);
      from.set(partition, position.next);
      const read = (first: bigint, to: bigint) =>
        readRange({ client, topic, partition, from: first < begin ? begin : first, to });
      const place = { stream, partition, country, zone, position, events };
      const lander = new PartitionLander({
        ...place,
        readRange: read,
        signal: this.#retries.signal,
      });
      this.#partitions.set(`${topic}:${partition}`, lander);
    }
    return { name: topic, from };
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
