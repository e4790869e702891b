import type { BuildingRecord } from '@domicile/core/building.ts';
import type { CountryCode } from '@domicile/core/countries.ts';
import { builtInDeviceTypes } from '@domicile/core/device-types.ts';
import { headers, streams, topicOf } from '@domicile/core/streams.ts';
import type { ClientOptions } from '@domicile/kafka/client-options.ts';
import { IdempotentProducer } from '@domicile/kafka/idempotent-producer.ts';

/** The load profile: 100 buildings of 5 floors, 25 rooms and 100 devices, which say three values every 10 s. */
export const buildingsCount = 100;
const devicesPerBuilding = 100;
export const readingsPerSecond = 1_000;

export function buildings(country: CountryCode): BuildingRecord[] {
  return Array.from({ length: buildingsCount }, (_, index) => ({
    id: `${country.toLowerCase()}-b${index}`,
    country,
    client: 'acme',
    name: null,
    timeZone: 'Europe/Berlin',
    state: 'active',
    deviceTypes: builtInDeviceTypes,
    devices: Array.from({ length: devicesPerBuilding }, (__, device) => {
      const room = Math.floor(device / 4);
      const place = { floor: `${Math.floor(room / 5) + 1}`, room: `r${room + 101}` };
      const placements = [{ ...place, validFromMs: null, type: 'air-quality' }];
      return { id: `r${room + 101}-air${device % 4}`, placements };
    }),
    passwordHash: null,
  }));
}

/** Fills telemetry with readings of the profile, one a record, and the registry with their buildings. */
export class Load {
  readonly #producer: IdempotentProducer;
  readonly #country: CountryCode;
  readonly #startMs: number;
  readonly #places: { building: string; device: string }[];
  #next = 0;

  static async open(client: ClientOptions, country: CountryCode, startMs: number): Promise<Load> {
    const registry = topicOf(country, 'registry');
    const telemetry = topicOf(country, 'telemetry');
    const topics = [registry, telemetry];
    const producer = await IdempotentProducer.open({ client, clientId: 'load', topics });
    const records = buildings(country);
    for (const record of records)
      await producer.send({
        topic: registry,
        key: Buffer.from(record.id),
        value: Buffer.from(JSON.stringify(record)),
        headers: { [headers.schema]: streams.registry.schema },
      });
    return new Load(producer, { country, startMs, records });
  }

  private constructor(
    producer: IdempotentProducer,
    of: { country: CountryCode; startMs: number; records: readonly BuildingRecord[] },
  ) {
    this.#producer = producer;
    this.#country = of.country;
    this.#startMs = of.startMs;
    // Buildings take turns, as they do in a partition.
    this.#places = Array.from({ length: devicesPerBuilding }, (_, device) =>
      of.records.map(({ id, devices }) => ({ building: id, device: devices[device]?.id ?? '' })),
    ).flat();
  }

  async send(count: number): Promise<void> {
    const topic = topicOf(this.#country, 'telemetry');
    const acknowledgements: Promise<unknown>[] = [];
    for (const end = this.#next + count; this.#next < end; this.#next += 1) {
      if (this.#next % 500 === 0) await this.#producer.capacity();
      acknowledgements.push(this.#producer.send({ topic, ...this.#recordOf(this.#next) }));
    }
    await Promise.all(acknowledgements);
  }

  async close(): Promise<void> {
    await this.#producer.close();
  }

  #recordOf(index: number) {
    const { building, device } = this.#places[index % this.#places.length] ?? {
      building: '',
      device: '',
    };
    const atMs = this.#startMs + Math.floor((index * 1000) / readingsPerSecond);
    const values = {
      temperature: 18 + ((index * 7919) % 800) / 100,
      humidity: 30 + ((index * 1299) % 400) / 10,
      co2: 400 + ((index * 104_729) % 900),
    };
    const seq = Math.floor(index / this.#places.length);
    const payload = { boot: '01JD9TQ2V7Z3', seq, at: new Date(atMs).toISOString(), values };
    return {
      key: Buffer.from(building),
      value: Buffer.from(JSON.stringify(payload)),
      timestamp: BigInt(atMs + 50),
      headers: {
        [headers.schema]: streams.telemetry.schema,
        [headers.device]: device,
        [headers.client]: 'gateway',
        [headers.registryOffset]: '0',
      },
    };
  }
}
