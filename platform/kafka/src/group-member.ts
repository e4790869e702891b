/** A static member of a classic group: a restart within the session timeout gets the same partitions without a rebalance. */
import {
  Consumer,
  kGetApi,
  type API,
  type Callback,
  type GroupPartitionsAssigner,
} from '@platformatic/kafka';
import type { ClientOptions } from './client-options.ts';
import { apiError, FencedError } from './errors.ts';
import { watchedApi } from './watched-api.ts';

export interface GroupMemberOptions {
  readonly client: ClientOptions;
  readonly groupId: string;
  readonly instanceId: string;
  readonly topics: readonly string[];
  readonly sessionTimeoutMs: number;
}

const GROUP_CALLS = new Set(['Heartbeat', 'JoinGroup', 'SyncGroup']);

export class GroupMember extends Consumer {
  #fenced = false;

  constructor({ client, groupId, instanceId, topics, sessionTimeoutMs }: GroupMemberOptions) {
    super({
      ...client,
      clientId: instanceId,
      groupId,
      groupInstanceId: instanceId,
      autocommit: false,
      sessionTimeout: sessionTimeoutMs,
      rebalanceTimeout: sessionTimeoutMs,
      heartbeatInterval: Math.min(500, sessionTimeoutMs / 3),
      retries: 20,
      retryDelay: 200,
      protocols: [{ name: 'co-partitioned', version: 1 }],
      partitionAssigner: assignCoPartitioned,
    });
    for (const topic of topics) this.topics.track(topic); // joining asks for the tracked topics
  }

  /**
   * Stops heartbeats but stays a member until the session ends, for a restart; `close()` would leave the group.
   * Without a member id the client has nobody to report as leaving.
   */
  async detach(): Promise<void> {
    this.memberId = null;
    await new Promise<void>((resolve, reject) => {
      this.leaveGroup(false, (error) => (error ? reject(error) : resolve()));
    });
    await this.close(true);
  }

  /** A fenced member of this client drops its member id and joins again, taking the identity back from its successor. */
  override [kGetApi]<Args extends unknown[], Response>(
    name: string,
    callback: Callback<API<Args, Response>>,
  ): void {
    if (this.#fenced && name === 'JoinGroup')
      return callback(new FencedError(`Another process is ${this.groupInstanceId}`));
    super[kGetApi]<Args, Response>(name, (error, api) => {
      if (api === undefined || !GROUP_CALLS.has(name)) return callback(error, api);
      const watched = watchedApi(api, (failure) => {
        if (apiError(failure, 'FENCED_INSTANCE_ID')) this.#fenced = true;
      });
      callback(null, watched);
    });
  }
}

/** Partition n of every topic goes to one member. Members keep their order, as member ids begin with the instance id. */
export const assignCoPartitioned: GroupPartitionsAssigner = (
  _current,
  members,
  topics,
  metadata,
) => {
  const memberIds = [...members.keys()].toSorted();
  return memberIds.map((memberId, index) => {
    const assignments = new Map<string, { topic: string; partitions: number[] }>();
    for (const topic of topics) {
      const count = metadata.topics.get(topic)?.partitionsCount ?? 0;
      const partitions = Array.from({ length: count }, (_, partition) => partition);
      assignments.set(topic, {
        topic,
        partitions: partitions.filter((partition) => partition % memberIds.length === index),
      });
    }
    return { memberId, assignments };
  });
};
