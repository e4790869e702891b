import type { AccountRecord } from '@domicile/core/account.ts';
import type { CountryCode } from '@domicile/core/countries.ts';
import { must } from '@domicile/core/invariants.ts';
import type { LatestRecord } from '@domicile/core/latest.ts';
import type { QuarantineEntry } from '@domicile/core/quarantine.ts';
import type { Reading } from '@domicile/core/reading.ts';
import {
  headers as headerNames,
  type StreamName,
  streamNames,
  streams,
  topicOf,
} from '@domicile/core/streams.ts';
import type { SummaryRecord } from '@domicile/core/summary.ts';
import type { Part } from '@domicile/kafka/parts.ts';
import type { OutputRecord } from '@domicile/kafka/records.ts';
import { keptBytes } from '@domicile/runtime/kept-bytes.ts';

const keysMax = 50_000;

interface Base {
  readonly topic: string;
  readonly partition: number;
  readonly headers: Readonly<Record<string, string>>;
}

/** Everything that a partition's task writes, in its own partition of each stream. */
export class TaskRecords {
  readonly #bases: ReadonlyMap<StreamName, Base>;
  /** Keys repeat, so their bytes are kept. */
  readonly #keys = new Map<string, Buffer>();

  constructor(country: CountryCode, partition: number) {
    this.#bases = new Map(
      streamNames.map((name) => [
        name,
        {
          topic: topicOf(country, name),
          partition,
          headers: { [headerNames.schema]: streams[name].schema },
        },
      ]),
    );
  }

  reading(reading: Reading): OutputRecord {
    const { topic, partition, headers } = this.#base('readings');
    const key = this.#key(reading.building);
    const value = Buffer.from(JSON.stringify(reading));
    return { topic, partition, key, value, headers, timestamp: BigInt(reading.receivedAtMs) };
  }

  quarantined(entry: QuarantineEntry): OutputRecord {
    return this.#json('quarantine', entry.building, entry);
  }

  summary(record: SummaryRecord): OutputRecord {
    return this.#json('summaries', record.building, record);
  }

  latest(record: LatestRecord): OutputRecord {
    return this.#json('latest', `${record.building}/${record.device}`, record);
  }

  account(record: AccountRecord): OutputRecord {
    return this.#json('account', record.building, record);
  }

  journal({ value, headers }: Part): OutputRecord {
    const { topic, partition, headers: own } = this.#base('journal');
    return {
      topic,
      partition,
      key: this.#key(`${partition}`),
      value,
      headers: { ...own, ...headers },
    };
  }

  /** A part of a snapshot takes the place of the same part of the one before. */
  state({ value, headers }: Part): OutputRecord {
    const { topic, partition, headers: own } = this.#base('state');
    const key = this.#key(`${partition}/${headers.part}`);
    return { topic, partition, key, value, headers: { ...own, ...headers } };
  }

  /** Removes a part that later snapshots no longer have. */
  stateTombstone(part: number): OutputRecord {
    const { topic, partition } = this.#base('state');
    return { topic, partition, key: this.#key(`${partition}/${part}`) };
  }

  #json(stream: StreamName, keyText: string, content: unknown): OutputRecord {
    const { topic, partition, headers } = this.#base(stream);
    const key = this.#key(keyText);
    return { topic, partition, key, value: Buffer.from(JSON.stringify(content)), headers };
  }

  #base(stream: StreamName): Base {
    return must(this.#bases.get(stream), 'every stream has a topic');
  }

  #key(text: string): Buffer {
    let key = this.#keys.get(text);
    if (key === undefined) {
      key = keptBytes(text);
      if (this.#keys.size >= keysMax) this.#keys.clear();
      this.#keys.set(text, key);
    }
    return key;
  }
}
