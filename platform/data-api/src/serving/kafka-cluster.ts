import type { ClientOptions } from '@domicile/kafka/client-options.ts';
import { platformErrorOf } from '@domicile/kafka/errors.ts';
import { Admin } from '@platformatic/kafka';

export interface KafkaBroker {
  readonly host: string;
  readonly port: number;
  readonly rack: string | null;
}

export interface KafkaCluster {
  readonly id: string;
  readonly brokers: readonly KafkaBroker[];
  /** Those that this principal may see. */
  readonly topics: readonly string[];
}

/** What a Kafka cluster says of itself; no right is needed beyond a log-in. */
export async function describeCluster(client: ClientOptions): Promise<KafkaCluster> {
  const admin = new Admin({
    ...client,
    clientId: 'residency',
    retries: 2,
    retryDelay: 200,
    connectTimeout: 2_000,
  });
  try {
    const { id, brokers } = await admin.metadata({ topics: [] });
    const topics = await admin.listTopics();
    const said = [...brokers.values()].map(({ host, port, rack }) => ({
      host,
      port,
      rack: rack ?? null,
    }));
    return { id, topics, brokers: said };
  } catch (error) {
    throw platformErrorOf(error, 'ask the cluster where it is');
  } finally {
    await admin.close().catch(() => {});
  }
}
