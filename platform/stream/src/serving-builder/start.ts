import { setTimeout as sleep } from 'node:timers/promises';
import { PlatformError } from '@domicile/core/errors.ts';
import { lowerCountry } from '@domicile/core/identities.ts';
import { topicOf } from '@domicile/core/streams.ts';
import type { InputRecord } from '@domicile/kafka/records.ts';
import { TopicFollower } from '@domicile/kafka/topic-follower.ts';
import { UnflushedSummaries } from '@domicile/lake/model/unflushed-summaries.ts';
import { openLake } from '@domicile/lake/open-lake.ts';
import { type SummaryFlush, SummaryWriter } from '@domicile/lake/summary-writer.ts';
import { startAdmin } from '@domicile/runtime/admin.ts';
import { createLog } from '@domicile/runtime/log.ts';
import { createRegistry } from '@domicile/runtime/metrics.ts';
import { startLoop } from '@domicile/runtime/service.ts';
import type { ServingBuilderConfig } from './config.ts';
import { decodeSummary, decodeZone } from './decode.ts';
import {
  createServingBuilderEvents,
  observeServingBuilder,
  type ServingBuilderEvents,
} from './events.ts';

const retryDelayMsMax = 10_000;
/** How long a stop waits for the last snapshot. */
const drainTimeoutMs = 30_000;

/** Builds the serving layer of one country until it is disposed; then what was read is flushed first. */
export async function startServingBuilder(
  config: ServingBuilderConfig,
  fail: (error: unknown) => void,
): Promise<AsyncDisposable> {
  const log = createLog('serving-builder');
  const registry = createRegistry({ service: 'serving-builder', country: config.country });
  const events = createServingBuilderEvents(registry, log);
  await using parts = new AsyncDisposableStack();
  let builder: Builder | undefined;
  const ready = () => (builder ? [] : ['finding its place']);
  parts.use(await startAdmin({ ...config.admin, log, registry, ready }));
  const { store } = await openLake(config.lake);
  const writer = await SummaryWriter.open(store);
  builder = parts.use(await Builder.start({ config, writer, events, fail }));
  observeServingBuilder(registry, builder);
  return parts.move();
}

interface BuilderOptions {
  readonly config: ServingBuilderConfig;
  readonly writer: SummaryWriter;
  readonly events: ServingBuilderEvents;
  readonly fail: (error: unknown) => void;
}

class Builder {
  readonly #options: BuilderOptions;
  readonly #retries = new AbortController();
  readonly #zones = new Map<string, string>();
  #held: UnflushedSummaries;
  #hasChanged = false;
  #work: Promise<void> = Promise.resolve();
  #followers: TopicFollower[] = [];
  #ticks: AsyncDisposable | undefined;

  static async start(options: BuilderOptions): Promise<Builder> {
    const builder = new Builder(options);
    await builder.#open();
    return builder;
  }

  private constructor(options: BuilderOptions) {
    this.#options = options;
    this.#held = new UnflushedSummaries(options.writer.offsets);
  }

  lagRecords(): number {
    return this.#followers.reduce((sum, follower) => sum + follower.lagRecords(), 0);
  }

  heldRows(): number {
    return this.#held.count;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const follower of this.#followers) await follower[Symbol.asyncDispose]();
    await this.#ticks?.[Symbol.asyncDispose]();
    const timer = setTimeout(() => this.#retries.abort(), drainTimeoutMs);
    try {
      await this.#flush();
    } catch (error) {
      // What is not flushed now is read again by the next process.
      if (!this.#retries.signal.aborted) throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  async #open(): Promise<void> {
    const { config, writer, fail } = this.#options;
    const { client, country } = config;
    const clientId = `serving-builder-${lowerCountry(country)}`;
    const registry = await TopicFollower.start({
      client,
      clientId,
      topics: [{ name: topicOf(country, 'registry'), from: 'earliest' }],
      onRecords: (records) => this.#takeZones(records),
      fail,
    });
    this.#followers.push(registry);
    await registry.caughtUp;
    const summaries = await TopicFollower.start({
      client,
      clientId,
      topics: [{ name: topicOf(country, 'summaries'), from: writer.offsets }],
      onRecords: async (records) => this.#take(records),
      fail,
    });
    this.#followers.push(summaries);
    this.#ticks = startLoop(async (signal) => this.#tick(signal), fail);
  }

  #takeZones(records: readonly InputRecord[]): void {
    for (const { value } of records) {
      const zone = decodeZone(this.#options.config.country, value);
      if (!zone || this.#zones.get(zone.id) === zone.timeZone) continue;
      this.#zones.set(zone.id, zone.timeZone);
      this.#hasChanged = true;
    }
  }

  /** The follower waits for it: beyond the limit a snapshot is made before more is read. */
  async #take(records: readonly InputRecord[]): Promise<void> {
    const { config, events } = this.#options;
    for (const record of records) {
      const summary = decodeSummary(config.country, record.value);
      if (summary) this.#held.take(summary);
      else events.refused(record);
      this.#held.reach(record.partition, record.offset + 1n);
      this.#hasChanged = true;
      if (this.#held.count >= config.rowsMax) await this.#flush();
    }
  }

  async #tick(signal: AbortSignal): Promise<void> {
    for (;;) {
      await sleep(this.#options.config.flushMs, undefined, { signal });
      await this.#flush();
    }
  }

  async #flush(): Promise<void> {
    const done = this.#work.then(async () => this.#flushOnce());
    this.#work = done.catch(() => {});
    return done;
  }

  async #flushOnce(): Promise<void> {
    if (!this.#hasChanged) return;
    const held = this.#held;
    this.#held = new UnflushedSummaries(held.offsets);
    this.#hasChanged = false;
    const { rows, offsets, closed } = held;
    await this.#persistently({ rows, offsets, closed, zones: new Map(this.#zones) });
  }

  async #persistently(flush: SummaryFlush): Promise<void> {
    const { writer, events } = this.#options;
    for (let delayMs = 250; ; delayMs = Math.min(delayMs * 2, retryDelayMsMax)) {
      const startMs = performance.now();
      try {
        const report = await writer.flush(flush);
        events.flushed(report, (performance.now() - startMs) / 1000);
        return;
      } catch (error) {
        const isRetriable = error instanceof PlatformError && error.decision.retriable;
        if (!isRetriable || error.code === 'FENCED') throw error;
        events.retried(error);
        await sleep(delayMs, undefined, { signal: this.#retries.signal });
      }
    }
  }
}
