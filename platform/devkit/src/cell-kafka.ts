import type { CountryCode } from '@domicile/core/countries.ts';
import { type Principal, rights, topicOf } from '@domicile/core/streams.ts';
import { ensureTopics, grantRights } from '@domicile/kafka/admin.ts';
import type { ClientOptions } from '@domicile/kafka/client-options.ts';
import { endOffsets } from '@domicile/kafka/topic-follower.ts';
import { KafkaCluster, type KafkaClusterOptions } from './kafka-cluster.ts';
import { waitFor } from './wait-for.ts';

export interface CellKafkaOptions extends Omit<KafkaClusterOptions, 'security'> {
  readonly country: CountryCode;
  readonly partitions?: number;
  /** By principal; absent: made up. */
  readonly passwords?: Readonly<Record<string, string>>;
}

const partitionsDefault = 8;

/** The Kafka of one country: SCRAM, all streams, and each service's rights and no more. */
export class CellKafka {
  readonly cluster: KafkaCluster;
  readonly country: CountryCode;

  static async start(options: CellKafkaOptions): Promise<CellKafka> {
    const { country, partitions = partitionsDefault, passwords, ...clusterOptions } = options;
    const made = Object.fromEntries(principals.map((name) => [name, `${name}-secret`]));
    const users = passwords ?? made;
    const cluster = await KafkaCluster.start({
      ...clusterOptions,
      security: { kind: 'scram', passwords: users },
    });
    await using begun = new AsyncDisposableStack();
    begun.defer(() => cluster.stop());
    const client = cluster.admin();
    const replicas = clusterOptions.nodes ?? 1;
    await ensureTopics({ client, country, partitions, replicas });
    await grantRights({ client, country, principals });
    const kafka = new CellKafka(cluster, country);
    await kafka.#untilGranted(principals.filter((name) => Object.hasOwn(users, name)));
    begun.move();
    return kafka;
  }

  private constructor(cluster: KafkaCluster, country: CountryCode) {
    this.cluster = cluster;
    this.country = country;
  }

  client(principal: Principal): ClientOptions {
    return this.cluster.client(principal);
  }

  /** Brokers for clients with a principal, `host:port` separated by commas. */
  get bootstrap(): string {
    return this.cluster.bootstrap;
  }

  /** The super user. */
  admin(): ClientOptions {
    return this.cluster.admin();
  }

  /** A right is granted a little later than it is acknowledged. */
  async #untilGranted(users: readonly Principal[]): Promise<void> {
    for (const principal of users) {
      const [stream] = rights[principal].reads;
      if (stream === undefined) continue;
      const question = { client: this.client(principal), topic: topicOf(this.country, stream) };
      const isGranted = () =>
        endOffsets(question).then(
          () => true,
          () => false,
        );
      await waitFor(`the rights of ${principal}`, isGranted);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.cluster.stop();
  }
}

const principals = Object.keys(rights).filter(isPrincipal);

function isPrincipal(name: string): name is Principal {
  return Object.hasOwn(rights, name);
}
