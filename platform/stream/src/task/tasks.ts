import type { StreamName } from '@domicile/core/streams.ts';
import { topicOf } from '@domicile/core/streams.ts';
import type { ClientOptions } from '@domicile/kafka/client-options.ts';
import { clientOptionsOf } from '@domicile/kafka/config.ts';
import {
  ExactlyOnceTask,
  type PartitionProcessor,
  type TaskEvent,
} from '@domicile/kafka/exactly-once-task.ts';
import { startAdmin } from '@domicile/runtime/admin.ts';
import { createLog } from '@domicile/runtime/log.ts';
import { createRegistry } from '@domicile/runtime/metrics.ts';
import type { TaskConfig } from './config.ts';
import { EarlyOffsetsMutant } from './early-offsets-mutant.ts';
import { type TaskEvents, taskEvents } from './events.ts';
import { PartitionRegistry } from './partition-registry.ts';
import { PartitionTask } from './partition-task.ts';
import { recoverPartition } from './recovery.ts';
import { SizedInput } from './sized-input.ts';
import { startTicker } from './ticker.ts';

export interface TasksService extends AsyncDisposable {
  readonly adminUrl: string;
}

/** Starts this process's share of a cell's partition tasks. Stopping it keeps its place in the group for a restart. */
export async function startTasks(
  config: TaskConfig,
  fail: (error: unknown) => void,
): Promise<TasksService> {
  const country = config.CELL_COUNTRY;
  const log = createLog('tasks');
  const metrics = createRegistry({ service: 'tasks', country });
  const events = taskEvents(log, metrics);
  if (config.TASK_MUTANT) events.mutated(config.TASK_MUTANT);
  const client = clientOptionsOf(config);

  const inputs = inputsOf(config);
  await using parts = new AsyncDisposableStack();
  const partitions = parts.use(new OpenPartitions({ config, client, events, fail, inputs }));
  let isAssigned = false;
  const admin = parts.use(
    await startAdmin({
      host: config.TASK_HOST,
      port: config.TASK_ADMIN_PORT,
      log,
      registry: metrics,
      ready: () => isAssigned || ['no partition has been assigned yet'],
    }),
  );
  const task = new ExactlyOnceTask({
    client,
    groupId: config.TASK_GROUP,
    instanceId: config.TASK_INSTANCE_ID,
    inputs,
    openPartition: (partition, committed) => partitions.open(partition, committed),
    onEvent: (event) => {
      if (event.kind === 'assigned') isAssigned = true;
      report(event, events);
    },
    commitIntervalMs: config.TASK_COMMIT_INTERVAL_MS,
    recordsMax: config.TASK_RECORDS_MAX,
    sessionTimeoutMs: config.TASK_SESSION_TIMEOUT_MS,
  });
  const running = task.run().catch((error: unknown) => {
    events.failed(error);
    fail(error);
  });
  parts.defer(async () => {
    task.stop();
    await running;
  });
  parts.use(
    await startTicker({
      client,
      country,
      instanceId: config.TASK_INSTANCE_ID,
      intervalMs: config.TASK_TICK_INTERVAL_MS,
      partitions: () => partitions.numbers(),
      onFailed: (error) => events.tickFailed(error),
      fail,
    }),
  );
  const started = parts.move();
  return { adminUrl: admin.url, [Symbol.asyncDispose]: () => started.disposeAsync() };
}

function inputsOf(config: TaskConfig): SizedInput[] {
  const share = config.TASK_BACKFILL_SHARE;
  const input = (stream: StreamName, shareMax: number, bytesShare: number): SizedInput =>
    new SizedInput({
      name: topicOf(config.CELL_COUNTRY, stream),
      shareMax,
      recordsMax: config.TASK_RECORDS_MAX,
      bytesMax: config.TASK_COMMIT_BYTES * bytesShare,
    });
  return [input('telemetry', 1, 1 - share), input('backfill', share, share)];
}

function report(event: TaskEvent, events: TaskEvents): void {
  if (event.kind === 'committed') events.committed(event);
  else if (event.kind !== 'assigned') events.aborted(event.error);
}

interface OpenPartitionsOptions {
  readonly config: TaskConfig;
  readonly client: ClientOptions;
  readonly events: TaskEvents;
  readonly fail: (error: unknown) => void;
  readonly inputs: readonly SizedInput[];
}

class OpenPartitions {
  readonly #options: OpenPartitionsOptions;
  readonly #open = new Map<number, PartitionProcessor>();
  /** Kept while the process lives: at most one for each partition of the cell. */
  readonly #registries = new Map<number, Promise<PartitionRegistry>>();

  constructor(options: OpenPartitionsOptions) {
    this.#options = options;
  }

  numbers(): Iterable<number> {
    return this.#open.keys();
  }

  async open(
    partition: number,
    committed: ReadonlyMap<string, bigint | undefined>,
  ): Promise<PartitionProcessor> {
    const { config, client, events, inputs } = this.#options;
    const country = config.CELL_COUNTRY;
    const startedAt = performance.now();
    const offsetOf = (stream: StreamName) => committed.get(topicOf(country, stream));
    const positions = new Map<StreamName, bigint | undefined>([
      ['telemetry', offsetOf('telemetry')],
      ['backfill', offsetOf('backfill')],
    ]);
    const [registry, recovered] = await Promise.all([
      this.#registry(partition),
      recoverPartition({ client, country, partition, committed: positions }),
    ]);
    if (!(await registry.catchUp())) events.registryBehind(partition);
    const task = new PartitionTask({
      country,
      partition,
      recovered,
      registry,
      events,
      inputs,
      snapshotIntervalMs: config.TASK_SNAPSHOT_INTERVAL_MS,
      onClose: () => {
        if (this.#open.get(partition) !== processor) return;
        this.#open.delete(partition);
        events.partitionClosed(partition);
      },
    });
    const processor: PartitionProcessor =
      config.TASK_MUTANT === 'commit-offsets-early' ? new EarlyOffsetsMutant(task) : task;
    this.#open.set(partition, processor);
    const seconds = (performance.now() - startedAt) / 1000;
    events.partitionOpened(partition, seconds, recovered.foldedCommits);
    return processor;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const registry of this.#registries.values()) {
      const opened = await registry.catch(() => undefined);
      await opened?.[Symbol.asyncDispose]();
    }
  }

  async #registry(partition: number): Promise<PartitionRegistry> {
    const { config, client, events, fail } = this.#options;
    let registry = this.#registries.get(partition);
    if (registry === undefined) {
      registry = PartitionRegistry.open({
        client,
        country: config.CELL_COUNTRY,
        partition,
        fail,
        onRefused: (offset) => events.registryRefused(partition, offset),
      });
      this.#registries.set(partition, registry);
      registry.catch(() => this.#registries.delete(partition));
    }
    return registry;
  }
}
