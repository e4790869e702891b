import { pbkdf2, randomBytes } from 'node:crypto';
import { promisify } from 'node:util';
import type { Grant } from '@domicile/core/streams.ts';
import {
  type Acl,
  AclOperations,
  AclPermissionTypes,
  Admin,
  alterUserScramCredentialsV0,
  describeUserScramCredentialsV0,
  type Connection,
  ClientQuotaMatchTypes,
  ConfigResourceTypes,
  ConfigSources,
  IncrementalAlterConfigOperationTypes,
  kGetBootstrapConnection,
  ResourcePatternTypes,
  ResourceTypes,
  ScramMechanisms,
} from '@platformatic/kafka';
import { aclOf } from './acls.ts';
import type { ClientOptions } from './client-options.ts';
import { apiError, platformErrorOf } from './errors.ts';

export interface KafkaBroker {
  readonly id: number;
  readonly host: string;
  readonly port: number;
  /** `broker.rack`; null where none is set. */
  readonly rack: string | null;
}

export interface TopicState {
  readonly partitions: number;
  /** Ids of the brokers that hold each partition. */
  readonly replicas: readonly (readonly number[])[];
  /** Settings of the topic itself, without defaults. */
  readonly configs: Readonly<Record<string, string>>;
}

export interface NewTopic {
  readonly name: string;
  readonly partitions: number;
  readonly replicas: number;
  readonly configs: Readonly<Record<string, string>>;
}

/** Of one user, for each broker; null: none. */
export interface UserQuota {
  readonly producerBytesPerSecond: number | null;
  readonly consumerBytesPerSecond: number | null;
}

const derive = promisify(pbkdf2);
const iterations = 8192;
const timeoutMs = 10_000;
const retries = {
  retries: 3,
  retryDelay: 200,
  connectTimeout: 2_000,
  timeout: timeoutMs,
  requestTimeout: timeoutMs,
};

/**
 * What an operator looks at and changes in a Kafka. Needs the super user. Every call throws `UNAUTHENTICATED`, `FORBIDDEN` or
 * `UPSTREAM_UNAVAILABLE`, after at most `timeoutMs` a try.
 */
export class CellAdmin implements AsyncDisposable {
  readonly #admin: Admin;

  constructor(client: ClientOptions) {
    this.#admin = new Admin({ ...client, ...retries, clientId: 'domicile-operator' });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#admin.close().catch(() => {});
  }

  async brokers(): Promise<KafkaBroker[]> {
    const { brokers } = await this.#do('look at the brokers', () =>
      this.#admin.metadata({ topics: [], forceUpdate: true }),
    );
    return [...brokers].map(([id, { host, port, rack }]) => ({
      id,
      host,
      port,
      rack: rack ?? null,
    }));
  }

  /** Those of the names that are there. */
  topics(names: readonly string[]): Promise<Map<string, TopicState>> {
    return this.#do('look at the topics', async () => {
      const present = new Set(await this.#admin.listTopics());
      const wanted = names.filter((name) => present.has(name));
      if (wanted.length === 0) return new Map();
      const { topics } = await this.#admin.metadata({ topics: wanted, forceUpdate: true });
      const configs = await this.#topicConfigs(wanted);
      return new Map(
        [...topics].map(([name, { partitions, partitionsCount }]) => [
          name,
          {
            partitions: partitionsCount,
            replicas: partitions.map(({ replicas }) => replicas),
            configs: configs.get(name) ?? {},
          },
        ]),
      );
    });
  }

  /** False if it was there already. */
  createTopic({ name, partitions, replicas, configs }: NewTopic): Promise<boolean> {
    const list = Object.entries(configs).map(([key, value]) => ({ name: key, value }));
    return this.#do(`make the topic ${name}`, async () => {
      try {
        await this.#admin.createTopics({ topics: [name], partitions, replicas, configs: list });
        return true;
      } catch (error) {
        if (apiError(error, 'TOPIC_ALREADY_EXISTS')) return false;
        throw error;
      }
    });
  }

  /** Sets these settings and leaves all others alone. */
  async setTopicConfigs(name: string, configs: Readonly<Record<string, string>>): Promise<void> {
    const changes = Object.entries(configs).map(([key, value]) => ({
      name: key,
      configOperation: IncrementalAlterConfigOperationTypes.SET,
      value,
    }));
    await this.#do(`change the topic ${name}`, () =>
      this.#admin.incrementalAlterConfigs({
        resources: [
          { resourceType: ConfigResourceTypes.TOPIC, resourceName: name, configs: changes },
        ],
      }),
    );
  }

  /** Of one broker, such as `offsets.retention.minutes`; undefined if it has no such setting. */
  async brokerConfig(broker: number, name: string): Promise<string | undefined> {
    const [described] = await this.#do('look at the settings of a broker', () =>
      this.#admin.describeConfigs({
        resources: [
          {
            resourceType: ConfigResourceTypes.BROKER,
            resourceName: `${broker}`,
            configurationKeys: [name],
          },
        ],
      }),
    );
    return described?.configs.find((config) => config.name === name)?.value ?? undefined;
  }

  /** Every entry that says what somebody may do, or may not. */
  async acls(): Promise<Acl[]> {
    const resources = await this.#do('look at the rights', () =>
      this.#admin.describeAcls({ filter: everything }),
    );
    return resources.flatMap(({ acls, ...target }) => acls.map((acl) => ({ ...target, ...acl })));
  }

  async grant(user: string, grants: readonly Grant[]): Promise<void> {
    if (grants.length === 0) return;
    const creations = grants.map((grant) => aclOf(user, grant));
    await this.#do(`grant ${user} its rights`, () => this.#admin.createAcls({ creations }));
  }

  /** Takes these entries out, and no others. */
  async takeBack(acls: readonly Acl[]): Promise<void> {
    if (acls.length === 0) return;
    await this.#do('take rights back', () => this.#admin.deleteAcls({ filters: [...acls] }));
  }

  /** Users that have a SCRAM-SHA-256 password. */
  async users(): Promise<Set<string>> {
    const { results } = await this.#do('look at the users', async () =>
      describeUserScramCredentialsV0.api.async(await this.#connection(), null),
    );
    return new Set(
      results
        .filter(({ credentialInfos }) =>
          credentialInfos.some(({ mechanism }) => mechanism === ScramMechanisms.SCRAM_SHA_256),
        )
        .map(({ user }) => user),
    );
  }

  async setPassword(user: string, password: string): Promise<void> {
    const salt = randomBytes(24);
    const saltedPassword = await derive(password.normalize('NFKC'), salt, iterations, 32, 'sha256');
    await this.#do(`set the password of ${user}`, async () =>
      alterUserScramCredentialsV0.api.async(
        await this.#connection(),
        [],
        [
          {
            name: user,
            mechanism: ScramMechanisms.SCRAM_SHA_256,
            iterations,
            salt,
            saltedPassword,
          },
        ],
      ),
    );
  }

  async quotas(): Promise<Map<string, UserQuota>> {
    const entries = await this.#do('look at the quotas', () =>
      this.#admin.describeClientQuotas({
        components: [{ entityType: 'user', matchType: ClientQuotaMatchTypes.ANY }],
        strict: true,
      }),
    );
    return new Map(
      entries.map(({ entity, values }) => {
        const valueOf = (key: string) => values.find((one) => one.key === key)?.value ?? null;
        return [
          entity.find(({ entityType }) => entityType === 'user')?.entityName ?? '',
          {
            producerBytesPerSecond: valueOf('producer_byte_rate'),
            consumerBytesPerSecond: valueOf('consumer_byte_rate'),
          },
        ];
      }),
    );
  }

  async setQuota(user: string, quota: UserQuota): Promise<void> {
    await this.#do(`limit ${user}`, () =>
      this.#admin.alterClientQuotas({
        entries: [
          {
            entities: [{ entityType: 'user', entityName: user }],
            ops: [
              quotaOf('producer_byte_rate', quota.producerBytesPerSecond),
              quotaOf('consumer_byte_rate', quota.consumerBytesPerSecond),
            ],
          },
        ],
      }),
    );
  }

  async #topicConfigs(names: readonly string[]): Promise<Map<string, Record<string, string>>> {
    const described = await this.#admin.describeConfigs({
      resources: names.map((name) => ({
        resourceType: ConfigResourceTypes.TOPIC,
        resourceName: name,
        configurationKeys: null,
      })),
    });
    return new Map(
      described.map(({ resourceName, configs }) => [
        resourceName,
        Object.fromEntries(
          configs
            .filter(({ configSource }) => configSource === ConfigSources.DYNAMIC_TOPIC_CONFIG)
            .map(({ name, value }) => [name, value ?? '']),
        ),
      ]),
    );
  }

  #connection(): Promise<Connection> {
    return new Promise((resolve, reject) => {
      this.#admin[kGetBootstrapConnection]((error, connection) => {
        if (error || !connection) reject(error ?? new Error('no connection'));
        else resolve(connection);
      });
    });
  }

  async #do<Result>(doing: string, work: () => Promise<Result>): Promise<Result> {
    try {
      return await work();
    } catch (error) {
      throw platformErrorOf(error, doing);
    }
  }
}

function quotaOf(key: 'producer_byte_rate' | 'consumer_byte_rate', value: number | null) {
  return value === null ? { key, remove: true as const } : { key, value, remove: false as const };
}

const everything = {
  resourceType: ResourceTypes.ANY,
  resourceName: null,
  resourcePatternType: ResourcePatternTypes.ANY,
  principal: null,
  host: null,
  operation: AclOperations.ANY,
  permissionType: AclPermissionTypes.ANY,
};
