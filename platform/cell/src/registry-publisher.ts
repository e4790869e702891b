import { readFile, stat } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { BuildingRecord } from '@domicile/core/building.ts';
import type { CountryCode } from '@domicile/core/countries.ts';
import { PlatformError } from '@domicile/core/errors.ts';
import { parseBuildingId } from '@domicile/core/identities.ts';
import { streams, topicOf } from '@domicile/core/streams.ts';
import { buildingsOf } from '@domicile/core/values.ts';
import type { ClientOptions } from '@domicile/kafka/client-options.ts';
import { IdempotentProducer } from '@domicile/kafka/idempotent-producer.ts';
import { TopicFollower } from '@domicile/kafka/topic-follower.ts';
import { fileVersion } from '@domicile/runtime/file-version.ts';
import { startLoop } from '@domicile/runtime/service.ts';
import { parse } from 'yaml';
import type { Credentials } from './credentials.ts';
import { type RegistryChanges, registryChanges } from './model/registry-changes.ts';

export interface RegistryPublisherOptions {
  readonly client: ClientOptions;
  readonly country: CountryCode;
  /** Values of docs/api/values.md, YAML. */
  readonly valuesFile: string;
  readonly credentials: Credentials;
  /** After each change of the registry. */
  readonly onChange: (changes: RegistryChanges) => Promise<void>;
  /** The file cannot be taken; what was declared before stays in force. */
  readonly onRefused: (error: PlatformError) => void;
}

const pollMs = 500;
const valuesBytesMax = 4 << 20;

/** Declares the buildings of a values file in the registry stream, and again whenever the file changes. */
export class RegistryPublisher {
  readonly #options: RegistryPublisherOptions;
  readonly #registry: Map<string, BuildingRecord>;
  readonly #producer: IdempotentProducer;
  #running = new AsyncDisposableStack();
  #seen = '';

  /** Resolves when the file, as it is now, is declared. Throws what is wrong with it. */
  static async start(
    options: RegistryPublisherOptions,
    fail: (error: unknown) => void,
  ): Promise<RegistryPublisher> {
    const { client, country } = options;
    const topic = topicOf(country, 'registry');
    const registry = new Map<string, BuildingRecord>();
    await using parts = new AsyncDisposableStack();
    const follower = parts.use(
      await TopicFollower.start({
        client,
        clientId: 'registry-publisher',
        topics: [{ name: topic, from: 'earliest' }],
        onRecords: (records) => {
          for (const { key, value } of records) take(registry, String(key), value);
        },
        fail,
      }),
    );
    await follower.caughtUp;
    const producer = await IdempotentProducer.open({
      client,
      clientId: 'registry-publisher',
      topics: [topic],
      lanes: 1,
      lingerMs: 0,
    });
    parts.defer(() => producer.close());
    const publisher = new RegistryPublisher(options, producer, registry);
    await publisher.#publish(await publisher.#changedText());
    parts.use(startLoop((signal) => publisher.#watch(signal), fail));
    publisher.#running = parts.move();
    return publisher;
  }

  private constructor(
    options: RegistryPublisherOptions,
    producer: IdempotentProducer,
    registry: Map<string, BuildingRecord>,
  ) {
    this.#options = options;
    this.#producer = producer;
    this.#registry = registry;
  }

  get active(): readonly BuildingRecord[] {
    return [...this.#registry.values()].filter(({ state }) => state === 'active');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#running.disposeAsync();
  }

  async #watch(signal: AbortSignal): Promise<void> {
    for (;;) {
      await sleep(pollMs, undefined, { signal });
      try {
        await this.#publish(await this.#changedText());
      } catch (error) {
        if (!(error instanceof PlatformError)) throw error;
        // What passes by itself, as an outage of Kafka does, is not the file's fault: it is declared again.
        if (error.decision.retriable) this.#seen = '';
        this.#options.onRefused(error);
      }
    }
  }

  /** Undefined while nothing changed. */
  async #changedText(): Promise<string | undefined> {
    const { valuesFile } = this.#options;
    const missing = (cause: unknown) => {
      throw new PlatformError('NOT_FOUND', `Cannot read ${valuesFile}`, { cause });
    };
    const stats = await stat(valuesFile).catch(missing);
    if (stats.size > valuesBytesMax)
      throw new PlatformError('PAYLOAD_TOO_LARGE', `Cannot read ${valuesFile}: it is too large`);
    const seen = fileVersion(stats);
    if (seen === this.#seen) return undefined;
    // An editor may put another file in its place at any moment.
    const text = await readFile(valuesFile, 'utf8').catch(missing);
    this.#seen = seen;
    return text;
  }

  async #publish(text: string | undefined): Promise<void> {
    if (text === undefined) return;
    const { country, credentials, onChange } = this.#options;
    const changes = registryChanges(buildingsOf(parsed(text), country), this.#registry);
    const topic = topicOf(country, 'registry');
    for (const record of changes.records) {
      const building = parseBuildingId(record.id);
      const isActive = record.state === 'active';
      if (!isActive) await credentials.admit(building, 'offboarded');
      const passwordHash = isActive ? await credentials.issue(building, record.passwordHash) : null;
      const issued = { ...record, passwordHash };
      await this.#producer.send({
        topic,
        key: Buffer.from(record.id),
        value: Buffer.from(JSON.stringify(issued)),
        headers: { schema: streams.registry.schema },
      });
      this.#registry.set(record.id, issued);
    }
    await onChange(changes);
  }
}

function parsed(text: string): unknown {
  let values: unknown;
  try {
    values = parse(text);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message.split('\n', 1)[0] : '';
    throw new PlatformError('VALUE_INVALID', `Cannot read values: ${why}`, { cause });
  }
  if (values !== null && values !== undefined) return values;
  // An editor may empty a file before it writes it: nobody is offboarded by that.
  throw new PlatformError(
    'VALUE_INVALID',
    'Cannot read values: the file is empty; write `buildings: {}` to declare none',
  );
}

/** Records of the registry are our own writing, so they are taken as they are. */
function take(registry: Map<string, BuildingRecord>, id: string, value: Buffer | null): void {
  if (value === null) registry.delete(id);
  else {
    const record: BuildingRecord = JSON.parse(value.toString());
    registry.set(id, record);
  }
}
