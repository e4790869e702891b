import { setTimeout as sleep } from 'node:timers/promises';
import type { BuildingRecord } from '@domicile/core/building.ts';
import type { CountryCode } from '@domicile/core/countries.ts';
import { topicOf } from '@domicile/core/streams.ts';
import type { ClientOptions } from '@domicile/kafka/client-options.ts';
import type { InputRecord } from '@domicile/kafka/records.ts';
import { TopicFollower } from '@domicile/kafka/topic-follower.ts';
import { type KnownBuilding, type KnownBuildings, knownBuilding } from '../model/registry.ts';

/** How long a task waits for the part of the registry by which a message was let in. */
export const registryWaitMsMax = 10_000;
const pollMs = 20;

export interface PartitionRegistryOptions {
  readonly client: ClientOptions;
  readonly country: CountryCode;
  readonly partition: number;
  readonly fail: (error: unknown) => void;
  /** A record cannot be read, or is of another country; what was known of its building stays. */
  readonly onRefused: (offset: bigint) => void;
}

/**
 * One partition of the registry, followed live. It outlives the processors of its partition, so that a task that was opened
 * again because the registry was behind finds it read further.
 */
export class PartitionRegistry {
  readonly #options: PartitionRegistryOptions;
  readonly #topic: string;
  readonly #buildings = new Map<string, KnownBuilding>();
  readonly #erased = new Set<string>();
  #follower: TopicFollower | undefined;
  #neededTo = -1n;
  #givenUpTo = -1n;
  #position = 0n;

  static async open(options: PartitionRegistryOptions): Promise<PartitionRegistry> {
    const registry = new PartitionRegistry(options);
    const { client, partition, fail } = options;
    registry.#follower = await TopicFollower.start({
      client,
      clientId: `task-registry-${partition}`,
      topics: [{ name: registry.#topic, partitions: [partition], from: 'earliest' }],
      onRecords: (records) => registry.#take(records),
      fail,
    });
    return registry;
  }

  private constructor(options: PartitionRegistryOptions) {
    this.#options = options;
    this.#topic = topicOf(options.country, 'registry');
  }

  get known(): KnownBuildings {
    return this.#buildings;
  }

  /** Those of which nothing may be kept. */
  get erased(): ReadonlySet<string> {
    return this.#erased;
  }

  /** Whether the record at `offset` was read, or waiting for it was given up. Otherwise the next `catchUp` waits for it. */
  hasRead(offset: bigint): boolean {
    if (offset < this.#position || offset <= this.#givenUpTo) return true;
    if (offset < (this.#follower?.position(this.#topic, this.#options.partition) ?? 0n))
      return true;
    if (offset > this.#neededTo) this.#neededTo = offset;
    return false;
  }

  /** Resolves when all was read that there was at the start and that was asked for since. False: given up waiting. */
  async catchUp(): Promise<boolean> {
    await this.#follower?.caughtUp;
    const deadline = Date.now() + registryWaitMsMax;
    while (!this.hasRead(this.#neededTo)) {
      if (Date.now() > deadline) {
        this.#givenUpTo = this.#neededTo;
        return false;
      }
      await sleep(pollMs);
    }
    return true;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#follower?.[Symbol.asyncDispose]();
  }

  #take(records: readonly InputRecord[]): void {
    for (const { key, value, offset } of records) {
      this.#position = offset + 1n;
      const id = key?.toString() ?? '';
      if (value === null) {
        this.#buildings.delete(id);
        this.#erased.delete(id);
        continue;
      }
      const building = readBuilding(value, this.#options.country);
      if (building?.id === id) this.#note(building);
      else this.#options.onRefused(offset);
    }
  }

  #note(building: KnownBuilding): void {
    this.#buildings.set(building.id, building);
    if (building.isErased) this.#erased.add(building.id);
    else this.#erased.delete(building.id);
  }
}

/** Undefined when it cannot be read or names another country. */
function readBuilding(value: Buffer, country: CountryCode): KnownBuilding | undefined {
  try {
    const record: BuildingRecord = JSON.parse(value.toString());
    return record.country === country ? knownBuilding(record) : undefined;
  } catch {
    return undefined;
  }
}
