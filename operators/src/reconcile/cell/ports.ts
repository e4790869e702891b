import type { KafkaAccess, KafkaDiff, KafkaWish } from '@domicile/kafka/cell-diff.ts';
import type { BucketAdmin } from '@domicile/lake/admin/bucket-admin.ts';
import type { BrokerPlace } from '../../model/residency-guard.ts';

/** Administration of an existing Kafka. Throws `UPSTREAM_UNAVAILABLE`, `FORBIDDEN`, `UNAUTHENTICATED`, `CONFIG_INVALID`. */
export interface KafkaPort extends AsyncDisposable {
  brokers(): Promise<readonly BrokerPlace[]>;
  /** Reads only. Speaks of the cell's own topics, principals and configs; what else is there is left alone. */
  diff(wish: KafkaWish): Promise<KafkaDiff>;
}

export interface StoreAccess {
  readonly store: 'gcs' | 's3';
  readonly endpoint?: string;
  readonly region: string;
  /** Data of the administrator's Secret. */
  readonly secret: Readonly<Record<string, string>>;
}

/** What a cell stands on and does not own: Kafka and the store, which were there before it. */
export interface CellEnds {
  readonly openKafka: (access: KafkaAccess) => KafkaPort;
  readonly openStore: (access: StoreAccess) => Promise<BucketAdmin>;
  /** Who an identity's credentials are for the provider; undefined if the store's owner keeps the rights himself. */
  readonly identityOf: (
    store: 'gcs' | 's3',
    secret: Readonly<Record<string, string>>,
  ) => string | undefined;
}

export interface CellSettings {
  /** Tag of workloads whose Cell names none: the operator's own. */
  readonly imageTag: string;
  /** Of the country packs. */
  readonly regionsDir: string;
  /** Where the operator may work: a Cell that wants another namespace is refused. */
  readonly cellNamespace: string;
  /** How often brokers, buckets and nodes are looked at again. */
  readonly cellResyncMs: number;
}
