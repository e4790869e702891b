import type { CountryCode } from '@domicile/core/countries.ts';
import { accountReportSchema, headers as names, streams, topicOf } from '@domicile/core/streams.ts';
import { partitionOf } from '@domicile/kafka/partitioner.ts';
import type { InputRecord } from '@domicile/kafka/records.ts';
import { z } from 'zod';
import type { FeedMessage } from './feed.ts';
import { feedMessage, type Place, Places, type TopicPolicy } from './topic-policy.ts';

/** What of a building's topics clients get from the log. Commands come by the command book, which sends them until a state has come. */
const fed = ['telemetry', 'backfill', 'command-states', 'device-status'] as const;
type Fed = (typeof fed)[number];

/** By the fourth level of a filter of four levels, then of five. */
const streamsOfFour: Readonly<Record<string, readonly Fed[]>> = {
  telemetry: ['telemetry'],
  account: ['telemetry'],
  backfill: ['backfill'],
  status: ['device-status'],
  '+': ['telemetry', 'backfill', 'device-status'],
};
const streamsOfFive: Readonly<Record<string, readonly Fed[]>> = {
  'command-states': ['command-states'],
  '+': ['command-states'],
};

/** The topics of buildings, kept in the streams that the rest of the platform reads. */
export class PlatformPolicy implements TopicPolicy {
  /** Only tasks write transactions there, and what they write is not for clients. */
  readonly isolation = 'uncommitted';
  readonly always: readonly Place[] = [];
  readonly #places: Places;
  readonly #topics: Readonly<Record<Fed, string>>;
  readonly #readers: ReadonlyMap<string, (record: InputRecord) => Said | undefined>;

  constructor(country: CountryCode, partitions: number) {
    this.#places = new Places(country, fed, partitions);
    this.#topics = {
      telemetry: topicOf(country, 'telemetry'),
      backfill: topicOf(country, 'backfill'),
      'command-states': topicOf(country, 'command-states'),
      'device-status': topicOf(country, 'device-status'),
    };
    this.#readers = new Map([
      [this.#topics.telemetry, readingsOf],
      [this.#topics.backfill, readingsOf],
      [this.#topics['command-states'], commandStateOf],
      [this.#topics['device-status'], statusOf],
    ]);
  }

  placesOf(filter: string): readonly Place[] {
    const [version, building, ...rest] = filter.split('/');
    if (version !== 'v1' || !building || /[+#]/.test(building)) return [];
    const partition = partitionOf(Buffer.from(building), this.#places.partitions);
    return streamsUnder(rest).flatMap(
      (stream) => this.#places.at(this.#topics[stream], partition) ?? [],
    );
  }

  place(kafkaTopic: string, partition: number): Place | undefined {
    return this.#places.at(kafkaTopic, partition);
  }

  placeNamed(key: string): Place | undefined {
    return this.#places.named(key);
  }

  read(record: InputRecord): FeedMessage | undefined {
    const building = record.key?.toString();
    const said = this.#readers.get(record.topic)?.(record);
    const place = this.#places.at(record.topic, record.partition);
    if (!building || !said || !place) return undefined;
    const client = record.headers.get(names.client);
    return feedMessage({
      topic: `v1/${building}/${said.below}`,
      payload: said.payload,
      qos: 1,
      retain: said.retain ?? false,
      publisher: client === undefined ? undefined : `${building}/${client}`,
      expiresAtMs: undefined,
      properties: {},
      place: place.key,
      offset: Number(record.offset),
      timestampMs: record.timestampMs,
      headers: () => Object.fromEntries(record.headers),
    });
  }
}

/** A message, below its building. */
interface Said {
  readonly below: string;
  readonly payload: Buffer;
  readonly retain?: boolean;
}

/** Streams whose topics a filter can take, by its levels below the building. */
function streamsUnder([device, kind, ...more]: readonly string[]): readonly Fed[] {
  if (device === '#' || kind === '#') return fed;
  if (kind === undefined) return [];
  const four = Object.hasOwn(streamsOfFour, kind) ? (streamsOfFour[kind] ?? []) : [];
  const five = Object.hasOwn(streamsOfFive, kind) ? (streamsOfFive[kind] ?? []) : [];
  if (more.length === 0) return four;
  // A `#` takes its parent's level too.
  return more[0] === '#' ? [...four, ...five] : more.length === 1 ? five : [];
}

function readingsOf({ headers, value }: InputRecord): Said | undefined {
  const schema = headers.get(names.schema);
  const device = headers.get(names.device);
  if (device === undefined || value === null) return undefined;
  switch (schema) {
    case streams.telemetry.schema:
      return { below: `${device}/telemetry`, payload: value };
    case streams.backfill.schema:
      return { below: `${device}/backfill`, payload: value };
    case accountReportSchema:
      return { below: `${device}/account`, payload: value };
    case undefined:
    default:
      // Ticks, by which time moves in a partition.
      return undefined;
  }
}

const commandStateSchema = z.object({
  id: z.string(),
  device: z.string(),
  state: z.string(),
  at: z.string(),
  reason: z.string().optional(),
});

function commandStateOf({ headers, value }: InputRecord): Said | undefined {
  // What has no client is the cell's own word, which goes to applications and not to gateways.
  if (!headers.has(names.client)) return undefined;
  const record = commandStateSchema.safeParse(jsonOf(value)).data;
  if (!record) return undefined;
  const { id, device, ...payload } = record;
  return {
    below: `${device}/command-states/${id}`,
    payload: Buffer.from(JSON.stringify({ id, ...payload })),
  };
}

const statusSchema = z.object({
  device: z.string(),
  state: z.enum(['online', 'offline']),
  at: z.string(),
});

function statusOf({ value }: InputRecord): Said | undefined {
  const record = statusSchema.safeParse(jsonOf(value)).data;
  if (!record) return undefined;
  const { device, state, at } = record;
  return {
    below: `${device}/status`,
    payload: Buffer.from(JSON.stringify({ state, at })),
    retain: true,
  };
}

function jsonOf(value: Buffer | null): unknown {
  try {
    return value === null ? undefined : JSON.parse(value.toString('utf8'));
  } catch {
    return undefined;
  }
}
