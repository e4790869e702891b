/** A building, its devices and what they send, for tests of the task on a real Kafka. */
import type { BuildingRecord } from '@domicile/core/building.ts';
import type { CountryCode } from '@domicile/core/countries.ts';
import { builtInDeviceTypes } from '@domicile/core/device-types.ts';
import {
  headers as headerNames,
  type StreamName,
  streams,
  tickSchema,
  topicOf,
} from '@domicile/core/streams.ts';
import type { ClientOptions } from '@domicile/kafka/client-options.ts';
import { IdempotentProducer } from '@domicile/kafka/idempotent-producer.ts';

export function buildingOf(
  country: CountryCode,
  id: string,
  { rooms = 2, devicesPerRoom = 2 }: { rooms?: number; devicesPerRoom?: number } = {},
): BuildingRecord {
  const devices = Array.from({ length: rooms * devicesPerRoom }, (_, index) => {
    const room = Math.floor(index / devicesPerRoom);
    const floor = `${Math.floor(room / 5) + 1}`;
    const place = { validFromMs: null, floor, room: `r${room + 1}`, type: 'air-quality' };
    return { id: `d${index + 1}`, placements: [place] };
  });
  return {
    id,
    country,
    client: 'acme',
    name: null,
    timeZone: 'Europe/Berlin',
    state: 'active',
    deviceTypes: builtInDeviceTypes,
    devices,
    passwordHash: null,
  };
}

/** Writes what operators and the broker write. */
export class Sender {
  readonly #producer: IdempotentProducer;
  readonly #country: CountryCode;

  static async open(client: ClientOptions, country: CountryCode): Promise<Sender> {
    const names: StreamName[] = ['telemetry', 'backfill', 'registry'];
    const topics = names.map((name) => topicOf(country, name));
    return new Sender(
      await IdempotentProducer.open({ client, clientId: 'sender', topics }),
      country,
    );
  }

  private constructor(producer: IdempotentProducer, country: CountryCode) {
    this.#producer = producer;
    this.#country = country;
  }

  /** @returns its offset. */
  async declare(building: BuildingRecord): Promise<bigint> {
    const { offset } = await this.#producer.send({
      topic: topicOf(this.#country, 'registry'),
      key: Buffer.from(building.id),
      value: Buffer.from(JSON.stringify(building)),
      headers: { [headerNames.schema]: streams.registry.schema },
    });
    return offset;
  }

  async send(
    {
      building,
      device,
      stream = 'telemetry',
      schema = streams[stream].schema,
      registryOffset = 0n,
    }: {
      building: string;
      device: string;
      stream?: 'telemetry' | 'backfill';
      schema?: string;
      registryOffset?: bigint;
    },
    payload: unknown,
  ): Promise<void> {
    await this.#producer.capacity();
    await this.#producer.send({
      topic: topicOf(this.#country, stream),
      key: Buffer.from(building),
      value: Buffer.from(JSON.stringify(payload)),
      timestamp: BigInt(Date.now()),
      headers: {
        [headerNames.schema]: schema,
        [headerNames.device]: device,
        [headerNames.client]: 'gateway-1',
        [headerNames.registryOffset]: `${registryOffset}`,
      },
    });
  }

  /** As a task of the future writes it: it closes every window that ends 30 s before. */
  async tick(partition: number, atMs: number): Promise<void> {
    await this.#producer.send({
      topic: topicOf(this.#country, 'telemetry'),
      partition,
      key: Buffer.from('tick'),
      value: Buffer.from(JSON.stringify({ atMs })),
      timestamp: BigInt(atMs),
      headers: { [headerNames.schema]: tickSchema },
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#producer.close();
  }
}
