import type { CountryCode } from '@domicile/core/countries.ts';
import type { Principal } from '@domicile/core/streams.ts';

/** A broker of the cell's Kafka; `rack` is the region that it stands in, undefined if it says none. */
export interface KafkaBroker {
  readonly id: number;
  readonly host: string;
  readonly rack: string | undefined;
}

export interface KafkaUser {
  readonly principal: Principal;
  readonly password: string;
  /** The password is another than last time: it is set even if there is such a user already. */
  readonly renew: boolean;
}

/** What the cell wants of its Kafka: core's table of streams and of rights says the rest. */
export interface KafkaWish {
  readonly country: CountryCode;
  readonly partitions: number;
  readonly replicas: number;
  readonly users: readonly KafkaUser[];
}

/** One thing that differs, and that one act brings about. */
export interface KafkaChange {
  readonly kind: 'topic' | 'topic-configs' | 'user' | 'rights' | 'quotas';
  /** The topic or the principal. */
  readonly target: string;
  /** For people, without secrets: `de.readings.v1: retention.ms 1 → 1209600000`. */
  readonly detail: string;
  act(): Promise<void>;
}

/** What differs and no act repairs: somebody has to decide. */
export interface KafkaRefusal {
  readonly reason:
    | 'PartitionsDiffer'
    | 'ReplicasTooFew'
    | 'OffsetsRetentionTooShort'
    | 'MinInSyncTooFew';
  readonly target: string;
  /** With what to do next. */
  readonly detail: string;
}

/** A partition of one of the cell's topics and the brokers that hold it. */
export interface HeldPartition {
  readonly topic: string;
  readonly partition: number;
  readonly brokers: readonly number[];
}

export interface KafkaDiff {
  /** In the order in which to act; empty in a steady state. */
  readonly changes: readonly KafkaChange[];
  readonly refusals: readonly KafkaRefusal[];
  /** Of the cell's topics that are there, for the proof of where they are. */
  readonly held: readonly HeldPartition[];
}

/** Administration of an existing Kafka. Throws `UPSTREAM_UNAVAILABLE`, `FORBIDDEN`, `UNAUTHENTICATED`, `CONFIG_INVALID`. */
export interface KafkaAdminPort extends AsyncDisposable {
  brokers(): Promise<readonly KafkaBroker[]>;
  /** Reads only. Speaks of the cell's own topics, principals and configs; what else is there is left alone. */
  diff(wish: KafkaWish): Promise<KafkaDiff>;
}

export interface KafkaAccess {
  /** `host:port`, separated by commas. */
  readonly bootstrap: string;
  readonly username: string;
  readonly password: string;
  /** PEM; undefined: Kafka speaks no TLS. */
  readonly ca: string | undefined;
}

export type OpenKafkaAdmin = (access: KafkaAccess) => Promise<KafkaAdminPort>;
