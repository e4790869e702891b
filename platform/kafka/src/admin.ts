import { setTimeout as sleep } from 'node:timers/promises';
import type { CountryCode } from '@domicile/core/countries.ts';
import { PlatformError } from '@domicile/core/errors.ts';
import {
  type Principal,
  rights,
  type Stream,
  streamNames,
  streams,
  topicOf,
} from '@domicile/core/streams.ts';
import {
  AclOperations,
  AclPermissionTypes,
  Admin,
  ResourcePatternTypes,
  ResourceTypes,
} from '@platformatic/kafka';
import type { ClientOptions } from './client-options.ts';
import { apiError, platformErrorOf } from './errors.ts';

const knownTimeoutMs = 30_000;
const pollMs = 200;
const clientRetries = { retries: 20, retryDelay: 200, connectTimeout: 2_000 };

async function withAdmin<Result>(
  client: ClientOptions,
  doing: string,
  work: (admin: Admin) => Promise<Result>,
): Promise<Result> {
  const admin = new Admin({ ...client, ...clientRetries, clientId: 'domicile-admin' });
  try {
    return await work(admin);
  } catch (error) {
    throw platformErrorOf(error, doing);
  } finally {
    await admin.close().catch(() => {});
  }
}

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
        await createTopic(admin, { topic, partitions, replicas, stream: streams[name] });
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
  of: { topic: string; partitions: number; replicas: number; stream: Stream },
): Promise<void> {
  const { topic, partitions, replicas, stream } = of;
  const configs = [
    { name: 'cleanup.policy', value: stream.cleanup },
    { name: 'min.insync.replicas', value: replicas >= 3 ? '2' : '1' },
    ...(stream.retentionMs === undefined
      ? [{ name: 'min.cleanable.dirty.ratio', value: '0.1' }]
      : [{ name: 'retention.ms', value: `${stream.retentionMs}` }]),
  ];
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
  principals,
}: {
  readonly client: ClientOptions;
  readonly country: CountryCode;
  readonly principals: readonly Principal[];
}): Promise<void> {
  return withAdmin(client, 'grant rights', async (admin) => {
    const creations = principals.flatMap((principal) => {
      const { reads, writes, groups } = rights[principal];
      const allow = grantTo(principal);
      return [
        ...reads.map((name) => allow('TOPIC', topicOf(country, name), 'READ')),
        ...writes.map((name) => allow('TOPIC', topicOf(country, name), 'WRITE')),
        ...groups.map((prefix) => allow('GROUP', prefix, 'READ', true)),
        ...groups.map((prefix) => allow('TRANSACTIONAL_ID', prefix, 'WRITE', true)),
      ];
    });
    if (creations.length > 0) await admin.createAcls({ creations });
  });
}

function grantTo(principal: Principal) {
  return (
    type: 'TOPIC' | 'GROUP' | 'TRANSACTIONAL_ID',
    resourceName: string,
    operation: 'READ' | 'WRITE',
    isPrefix = false,
  ) => ({
    resourceType: ResourceTypes[type],
    resourceName,
    resourcePatternType: isPrefix ? ResourcePatternTypes.PREFIXED : ResourcePatternTypes.LITERAL,
    principal: `User:${principal}`,
    host: '*',
    operation: AclOperations[operation],
    permissionType: AclPermissionTypes.ALLOW,
  });
}
