import { setTimeout as sleep } from 'node:timers/promises';
import { lowerCountry } from '@domicile/core/identities.ts';
import { topicOf } from '@domicile/core/streams.ts';
import type { InputRecord } from '@domicile/kafka/records.ts';
import { TopicFollower } from '@domicile/kafka/topic-follower.ts';
import { openLake } from '@domicile/lake/open-lake.ts';
import { SummaryPruning } from '@domicile/lake/summary-pruning.ts';
import { type SummaryFlush, SummaryWriter } from '@domicile/lake/summary-writer.ts';
import { whileStoreFails } from '@domicile/lake/while-store-fails.ts';
import { startAdmin } from '@domicile/runtime/admin.ts';
import { createLog } from '@domicile/runtime/log.ts';
import { createRegistry } from '@domicile/runtime/metrics.ts';
import { startLoop } from '@domicile/runtime/service.ts';
import { unlessAborted } from '@domicile/runtime/unless-aborted.ts';
import type { ServingBuilderConfig } from './config.ts';
import { decodeSummary, decodeZone } from './decode.ts';
import {
  createPruningEvents,
  createServingBuilderEvents,
  observeServingBuilder,
  type PruningEvents,
  type ServingBuilderEvents,
} from './events.ts';
import { HeldSummaries } from './held-summaries.ts';

/** How long a stop waits for the last snapshot. */
const drainTimeoutMs = 30_000;
/** Between looks at what may be pruned, and between rounds while there is more. */
const pruneEveryMs = 60_000;
const behindMs = 1_000;

/**
 * Builds the serving layer of one country until it is disposed; then what was read is flushed first. While the store does not
 * answer it waits, from the start on.
 */
export async function startServingBuilder(
  config: ServingBuilderConfig,
  fail: (error: unknown) => void,
): Promise<AsyncDisposable> {
  const log = createLog('serving-builder');
  const registry = createRegistry({ service: 'serving-builder', country: config.country });
  const events = createServingBuilderEvents(registry, log);
  const pruningEvents = createPruningEvents(registry, log);
  const lake = await openLake(config.lake);
  await using parts = new AsyncDisposableStack();
  let builder: Builder | undefined;
  const ready = () => [...(builder ? [] : ['finding its place']), ...lake.outages()];
  parts.use(await startAdmin({ ...config.admin, log, registry, ready }));
  observeServingBuilder(registry, {
    lagRecords: () => builder?.lagRecords() ?? 0,
    heldRows: () => builder?.heldRows() ?? 0,
    outageSeconds: () => lake.outageSeconds(),
  });
  const retried = (error: unknown): void => events.retried(error);
  parts.use(
    startLoop(async (signal) => {
      const opening = { signal, retried };
      const { retentionDays } = config;
      const writer = await whileStoreFails(opening, () =>
        SummaryWriter.open(lake.store, { retentionDays }),
      );
      await using opened = await Builder.start({ config, writer, events, fail });
      builder = opened;
      await keepPruning({ config, writer, events: pruningEvents, signal });
    }, fail),
  );
  return parts.move();
}

interface Pruning {
  readonly config: ServingBuilderConfig;
  readonly writer: SummaryWriter;
  readonly events: PruningEvents;
  readonly signal: AbortSignal;
}

/** Upkeep: a round that fails or is refused is tried again later, and all else goes on. Ends with the signal's reason. */
async function keepPruning({ config, writer, events, signal }: Pruning): Promise<void> {
  const { store } = await openLake(config.lake, 'upkeep');
  const { pruneAfterMs } = config;
  const pruning = new SummaryPruning({ store, graceMs: pruneAfterMs });
  for (let waitMs = 0; ; await sleep(waitMs, undefined, { signal })) {
    try {
      const report = await unlessAborted(signal, pruning.round(writer.published));
      events.pruned(report);
      waitMs = report.isDone ? Math.min(pruneAfterMs, pruneEveryMs) : behindMs;
    } catch (error) {
      signal.throwIfAborted();
      events.pruneFailed(error);
      waitMs = pruneAfterMs;
    }
  }
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
  readonly #held: HeldSummaries;
  #followers: TopicFollower[] = [];
  #ticks: AsyncDisposable | undefined;

  static async start(options: BuilderOptions): Promise<Builder> {
    const builder = new Builder(options);
    await builder.#open();
    return builder;
  }

  private constructor(options: BuilderOptions) {
    this.#options = options;
    this.#held = new HeldSummaries({
      offsets: options.writer.offsets,
      write: (flush) => this.#persistently(flush),
    });
  }

  lagRecords(): number {
    return this.#followers.reduce((sum, follower) => sum + follower.lagRecords(), 0);
  }

  heldRows(): number {
    return this.#held.count;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // They may wait for a store that does not answer.
    const timer = setTimeout(() => this.#retries.abort(), drainTimeoutMs);
    try {
      for (const follower of this.#followers) await follower[Symbol.asyncDispose]();
      await this.#ticks?.[Symbol.asyncDispose]();
      if (!this.#held.hasFailed) await this.#held.flush();
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
      if (zone) this.#held.takeZone(zone.id, zone.timeZone);
    }
  }

  /** The follower waits for it: beyond the limit a snapshot is made before more is read. */
  async #take(records: readonly InputRecord[]): Promise<void> {
    const { config, events } = this.#options;
    for (const record of records) {
      const summary = decodeSummary(config.country, record.value);
      if (!summary) events.refused(record);
      this.#held.take(record, summary);
      if (this.#held.count >= config.rowsMax) await this.#held.flush();
    }
  }

  async #tick(signal: AbortSignal): Promise<void> {
    for (;;) {
      await sleep(this.#options.config.flushMs, undefined, { signal });
      await this.#held.flush();
    }
  }

  async #persistently(flush: SummaryFlush): Promise<void> {
    const { writer, events } = this.#options;
    const { signal } = this.#retries;
    await whileStoreFails({ signal, retried: (error) => events.retried(error) }, async () => {
      const startMs = performance.now();
      const report = await writer.flush(flush);
      events.flushed(report, (performance.now() - startMs) / 1000);
    });
  }
}
