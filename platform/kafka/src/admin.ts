import { setTimeout as sleep } from 'node:timers/promises';
import type { CountryCode } from '@domicile/core/countries.ts';
import { PlatformError } from '@domicile/core/errors.ts';
import { grantsOf, type Principal, streamNames, topicOf } from '@domicile/core/streams.ts';
import { CellAdmin } from './cell-admin.ts';
import { topicChanges, topicRefusals } from './cell-diff.ts';
import type { ClientOptions } from './client-options.ts';

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
 * Makes the topics of a cell, and their settings as core's table says. Another partition count than what is there is refused,
 * since it would put buildings on other partitions (`CONFIG_INVALID`).
 */
export async function ensureTopics({ client, ...of }: TopicsOfCell): Promise<void> {
  await using admin = new CellAdmin(client);
  const wish = { ...of, users: [] };
  const names = streamNames.map((name) => topicOf(of.country, name));
  const topics = await admin.topics(names);
  const [refusal] = topicRefusals(wish, topics);
  if (refusal)
    throw new PlatformError('CONFIG_INVALID', `Cannot use ${refusal.target}: it ${refusal.detail}`);
  for (const change of topicChanges(admin, wish, topics)) await change.act();
  await untilKnown(admin, names);
}

/** A topic that was just made is known a little later. */
async function untilKnown(admin: CellAdmin, names: readonly string[]): Promise<void> {
  for (const deadline = Date.now() + knownTimeoutMs; ; await sleep(pollMs)) {
    try {
      if ((await admin.topics(names)).size === names.length) return;
    } catch (error) {
      if (Date.now() > deadline) throw error;
    }
    if (Date.now() > deadline)
      throw new PlatformError('UPSTREAM_UNAVAILABLE', 'Cannot use Kafka: it made no topics');
  }
}

/** Grants each principal what core's table says. Needs the super user. */
export async function grantRights({
  client,
  country,
  principals,
}: {
  readonly client: ClientOptions;
  readonly country: CountryCode;
  readonly principals: readonly Principal[];
}): Promise<void> {
  await using admin = new CellAdmin(client);
  for (const principal of principals) await admin.grant(principal, grantsOf(country, principal));
}
