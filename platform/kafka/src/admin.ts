import { setTimeout as sleep } from 'node:timers/promises';
import type { CountryCode } from '@domicile/core/countries.ts';
import { PlatformError } from '@domicile/core/errors.ts';
import {
  grantsOf,
  type Principal,
  type StreamName,
  streamNames,
  topicConfigsOf,
  topicOf,
} from '@domicile/core/streams.ts';
import type { Admin } from '@platformatic/kafka';
import { aclOf } from './acls.ts';
import type { ClientOptions } from './client-options.ts';
import { apiError } from './errors.ts';
import { withAdmin } from './with-admin.ts';

const knownTimeoutMs = 30_000;
const pollMs = 200;
export interface TopicsOfCell {
  readonly client: ClientOptions;
  readonly country: CountryCode;
  /** Of every stream of buildings: a power of two, fixed for the version of a stream. */
  readonly partitions: number;
  readonly replicas: number;
}

/**
 * Makes the topics that are missing. Nothing that is there is changed; another partition count is refused, since it would
 * put buildings on other partitions (`CONFIG_INVALID`).
 */
export function ensureTopics({
  client,
  country,
  partitions,
  replicas,
}: TopicsOfCell): Promise<void> {
  return withAdmin(client, 'make the topics of the cell', async (admin) => {
    const present = new Set(await admin.listTopics());
    for (const name of streamNames) {
      const topic = topicOf(country, name);
      if (!present.has(topic))
        await createTopic(admin, { topic, partitions, replicas, stream: name });
    }
    const names = streamNames.map((name) => topicOf(country, name));
    const topics = await knownTopics(admin, names);
    for (const [topic, { partitionsCount }] of topics)
      if (partitionsCount !== partitions)
        throw new PlatformError(
          'CONFIG_INVALID',
          `Cannot use ${topic}: it has ${partitionsCount} partitions, and ${partitions} are configured`,
        );
  });
}

/** A topic that was just made is known a little later. */
async function knownTopics(admin: Admin, names: string[]) {
  for (const deadline = Date.now() + knownTimeoutMs; ; await sleep(pollMs)) {
    try {
      return (await admin.metadata({ topics: names, forceUpdate: true })).topics;
    } catch (error) {
      if (Date.now() > deadline) throw error;
    }
  }
}

async function createTopic(
  admin: Admin,
  of: { topic: string; partitions: number; replicas: number; stream: StreamName },
): Promise<void> {
  const { topic, partitions, replicas, stream } = of;
  const configs = Object.entries(topicConfigsOf(stream, replicas)).map(([name, value]) => ({
    name,
    value,
  }));
  await admin
    .createTopics({ topics: [topic], partitions, replicas, configs })
    .catch((error: unknown) => {
      if (!apiError(error, 'TOPIC_ALREADY_EXISTS')) throw error;
    });
}

/** Grants each principal what core's table says, and nothing else. Needs the super user. */
export function grantRights({
  client,
  country,
  principals: of,
}: {
  readonly client: ClientOptions;
  readonly country: CountryCode;
  readonly principals: readonly Principal[];
}): Promise<void> {
  return withAdmin(client, 'grant rights', async (admin) => {
    const creations = of.flatMap((principal) =>
      grantsOf(country, principal).map((grant) => aclOf(principal, grant)),
    );
    if (creations.length > 0) await admin.createAcls({ creations });
  });
}
