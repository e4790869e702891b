import { topicOf } from '@domicile/core/streams.ts';
import { endOffsets } from '@domicile/kafka/topic-follower.ts';
import type { ClientIdentity } from './admission/identity.ts';
import type { BrokerConfig } from './config.ts';
import type { FeedEvents } from './messages/feed-events.ts';
import { LogFeed } from './messages/log-feed.ts';
import { PlatformPolicy } from './messages/platform-policy.ts';
import type { CellSessions } from './sessions/cell-sessions.ts';

/** Feeds sessions with what buildings publish, from the streams that the rest of the platform reads. */
export async function startPlatformFeed(
  { country, kafka: client }: BrokerConfig,
  { keeper, groups }: CellSessions,
  { events, fail }: { readonly events: FeedEvents; readonly fail: (error: unknown) => void },
): Promise<LogFeed<ClientIdentity>> {
  const partitions = (await endOffsets({ client, topic: topicOf(country, 'telemetry') })).length;
  const feed = await LogFeed.start<ClientIdentity>({
    client,
    policy: new PlatformPolicy(country, partitions),
    keeper: { moved: (key) => keeper.moved(key), groups },
    events,
    fail,
  });
  keeper.use(feed);
  return feed;
}
