import type { CountryCode } from '@domicile/core/countries.ts';
import { PlatformError } from '@domicile/core/errors.ts';
import {
  type Grant,
  grantsOf,
  type Principal,
  principals,
  streamNames,
  topicConfigsOf,
  topicOf,
} from '@domicile/core/streams.ts';
import type { Acl } from '@platformatic/kafka';
import { aclText, grantOf, reachesTopics, userOf } from './acls.ts';
import { CellAdmin, type KafkaBroker, type TopicState, type UserQuota } from './cell-admin.ts';
import { kafkaSettings } from './config.ts';
import { hearConnectionErrors } from './connection-errors.ts';

/** Rule: committed positions outlive any pause of a service. Minutes of 10 years. */
export const offsetsRetentionMinutes = 5_256_000;

/** Bytes a second at each broker, so that whoever answers people cannot starve what takes in readings. */
const quotas: Readonly<Partial<Record<Principal, UserQuota>>> = {
  raw: { producerBytesPerSecond: null, consumerBytesPerSecond: 100_000_000 },
  serving: { producerBytesPerSecond: null, consumerBytesPerSecond: 100_000_000 },
  commands: { producerBytesPerSecond: 10_000_000, consumerBytesPerSecond: 50_000_000 },
  eraser: { producerBytesPerSecond: 10_000_000, consumerBytesPerSecond: 50_000_000 },
};

export interface KafkaUser {
  readonly principal: Principal;
  readonly password: string;
  /** The password is another than last time: it is set even if there is such a user already. */
  readonly renew: boolean;
}

/** What a cell wants of its Kafka: core's tables of streams and of rights say the rest. */
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
  /** For people, without secrets: `retention.ms 1 → 1209600000`. */
  readonly detail: string;
  act(): Promise<void>;
}

/** What differs and no act repairs: somebody has to decide. */
export interface KafkaRefusal {
  readonly reason: 'PartitionsDiffer' | 'ReplicasTooFew' | 'OffsetsRetentionTooShort';
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
  /** Rights of others on the cell's topics, for people: they are left alone. */
  readonly strangers: readonly string[];
  /** Of the cell's topics that are there, for the proof of where they are. */
  readonly held: readonly HeldPartition[];
}

export interface KafkaAccess {
  /** `host:port`, separated by commas. */
  readonly bootstrap: string;
  /** Of a super user, SCRAM-SHA-256. */
  readonly username: string;
  readonly password: string;
  /** PEM; undefined: Kafka speaks no TLS. */
  readonly ca: string | undefined;
}

/** Throws `CONFIG_INVALID` for an address that cannot be read. Nothing is connected yet. */
export function openCellAdmin({ bootstrap, username, password, ca }: KafkaAccess): CellAdmin {
  hearConnectionErrors();
  const brokers = kafkaSettings.KAFKA_BOOTSTRAP.safeParse(bootstrap);
  if (!brokers.success)
    throw new PlatformError(
      'CONFIG_INVALID',
      `Cannot reach Kafka: ${brokers.error.issues.map(({ message }) => message).join('; ')}`,
    );
  return new CellAdmin({
    bootstrapBrokers: brokers.data,
    sasl: { mechanism: 'SCRAM-SHA-256', username, password },
    ...(ca === undefined ? {} : { tls: { ca } }),
  });
}

/** What is to be done so that a Kafka is as a cell wants it. Reads only; topics, users and settings of others are left alone. */
export async function kafkaDiff(admin: CellAdmin, wish: KafkaWish): Promise<KafkaDiff> {
  const { country } = wish;
  const topics = await admin.topics(streamNames.map((name) => topicOf(country, name)));
  const brokers = await admin.brokers();
  const acls = await admin.acls();
  return {
    changes: [
      ...topicChanges(admin, wish, topics),
      ...(await userChanges(admin, wish)),
      ...rightChanges(admin, wish, acls),
      ...(await quotaChanges(admin)),
    ],
    refusals: [
      ...topicRefusals(wish, topics),
      ...brokerRefusals(wish, brokers),
      ...(await offsetsRefusals(admin, brokers)),
    ],
    strangers: strangersOf(wish, acls),
    held: [...topics].flatMap(([topic, { replicas }]) =>
      replicas.map((of, partition) => ({ topic, partition, brokers: of })),
    ),
  };
}

export function topicChanges(
  admin: CellAdmin,
  { country, partitions, replicas }: KafkaWish,
  topics: ReadonlyMap<string, TopicState>,
): KafkaChange[] {
  return streamNames.flatMap((stream): KafkaChange[] => {
    const name = topicOf(country, stream);
    const configs = topicConfigsOf(stream, replicas);
    const state = topics.get(name);
    if (!state)
      return [
        {
          kind: 'topic',
          target: name,
          detail: `is missing: ${partitions} partitions, ${replicas} replicas`,
          act: async () => void (await admin.createTopic({ name, partitions, replicas, configs })),
        },
      ];
    const differing = Object.entries(configs).filter(
      ([key, value]) => state.configs[key] !== value,
    );
    if (differing.length === 0) return [];
    const told = differing.map(
      ([key, value]) => `${key} ${state.configs[key] ?? "of the broker's default"} → ${value}`,
    );
    return [
      {
        kind: 'topic-configs',
        target: name,
        detail: told.join(', '),
        act: () => admin.setTopicConfigs(name, Object.fromEntries(differing)),
      },
    ];
  });
}

async function userChanges(admin: CellAdmin, { users }: KafkaWish): Promise<KafkaChange[]> {
  const present = await admin.users();
  return users
    .filter(({ principal, renew }) => renew || !present.has(principal))
    .map(({ principal, password, renew }) => ({
      kind: 'user',
      target: principal,
      detail: renew && present.has(principal) ? 'has another password' : 'is missing',
      act: () => admin.setPassword(principal, password),
    }));
}

/** Of our principals, what goes beyond the table is taken back, whatever it is. */
function rightChanges(
  admin: CellAdmin,
  { country }: KafkaWish,
  acls: readonly Acl[],
): KafkaChange[] {
  return principals.flatMap((principal): KafkaChange[] => {
    const wanted = grantsOf(country, principal);
    const entries = acls
      .filter((acl) => userOf(acl) === principal)
      .map((acl) => ({ acl, grant: grantOf(acl) }));
    const missing = wanted.filter(
      (grant) => !entries.some((one) => one.grant && isSame(one.grant, grant)),
    );
    const beyond = entries
      .filter((one) => !wanted.some((grant) => one.grant && isSame(one.grant, grant)))
      .map(({ acl }) => acl);
    if (missing.length === 0 && beyond.length === 0) return [];
    return [
      {
        kind: 'rights',
        target: principal,
        detail: `${missing.length} to grant, ${beyond.length} to take back`,
        act: async () => {
          await admin.grant(principal, missing);
          await admin.takeBack(beyond);
        },
      },
    ];
  });
}

/** Rights of other users are none of ours. They are told, since who reads a stream may take it anywhere. */
function strangersOf({ country }: KafkaWish, acls: readonly Acl[]): string[] {
  const ours: ReadonlySet<string> = new Set(principals);
  const prefix = `${country.toLowerCase()}.`;
  return acls
    .filter((acl) => !ours.has(userOf(acl)) && reachesTopics(acl, prefix))
    .map((acl) => `${userOf(acl) === '*' ? 'everybody' : userOf(acl)}: ${aclText(acl)}`);
}

async function quotaChanges(admin: CellAdmin): Promise<KafkaChange[]> {
  const present = await admin.quotas();
  return principals.flatMap((principal): KafkaChange[] => {
    const quota = quotas[principal];
    const has = present.get(principal);
    const isSet =
      quota?.producerBytesPerSecond === has?.producerBytesPerSecond &&
      quota?.consumerBytesPerSecond === has?.consumerBytesPerSecond;
    if (quota === undefined || isSet) return [];
    return [
      {
        kind: 'quotas',
        target: principal,
        detail: 'differ from the table',
        act: () => admin.setQuota(principal, quota),
      },
    ];
  });
}

function isSame(a: Grant, b: Grant): boolean {
  return (
    a.resource === b.resource &&
    a.name === b.name &&
    a.isPrefix === b.isPrefix &&
    a.operation === b.operation
  );
}

export function topicRefusals(
  { partitions }: KafkaWish,
  topics: ReadonlyMap<string, TopicState>,
): KafkaRefusal[] {
  return [...topics]
    .filter(([, state]) => state.partitions !== partitions)
    .map(([target, state]): KafkaRefusal => ({
      reason: 'PartitionsDiffer',
      target,
      detail:
        `has ${state.partitions} partitions, and ${partitions} are declared; the count is fixed for a version of a ` +
        'stream, since another would put buildings on other partitions. Kafka cannot take partitions away: while nothing ' +
        'has been written to the topic, delete it, and it is made again; else move to a new version of the streams',
    }));
}

function brokerRefusals(
  { replicas }: KafkaWish,
  { length }: readonly KafkaBroker[],
): KafkaRefusal[] {
  if (length >= replicas) return [];
  const detail = `has ${length} brokers, and ${replicas} replicas are declared; add brokers or lower spec.kafka.replicas`;
  return [{ reason: 'ReplicasTooFew', target: 'kafka', detail }];
}

async function offsetsRefusals(
  admin: CellAdmin,
  brokers: readonly KafkaBroker[],
): Promise<KafkaRefusal[]> {
  const refusals: KafkaRefusal[] = [];
  for (const { id } of brokers) {
    const minutes = Number(await admin.brokerConfig(id, 'offsets.retention.minutes'));
    if (minutes >= offsetsRetentionMinutes) continue;
    refusals.push({
      reason: 'OffsetsRetentionTooShort',
      target: `broker ${id}`,
      detail: `keeps offsets for ${minutes} minutes; set offsets.retention.minutes to ${offsetsRetentionMinutes} (10 years)`,
    });
  }
  return refusals;
}
