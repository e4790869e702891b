import type { ClientOptions } from '@domicile/kafka/client-options.ts';
import { beginOffsets, readRange } from '@domicile/kafka/topic-follower.ts';
import type { OutboundMessage } from '@domicile/mqtt/owner.ts';
import type { Place, TopicPolicy } from './topic-policy.ts';

/** Reads single messages back by their tokens, `{stream}/{partition}/{offset}`. */
export async function messagesAt({
  client,
  policy,
  tokens,
}: {
  readonly client: ClientOptions;
  readonly policy: TopicPolicy;
  readonly tokens: readonly string[];
}): Promise<ReadonlyMap<string, OutboundMessage>> {
  const found = new Map<string, OutboundMessage>();
  const named = tokens.flatMap((token) => {
    const cut = token.lastIndexOf('/');
    const place = policy.placeNamed(token.slice(0, cut));
    return place ? [{ place, offset: Number(token.slice(cut + 1)) }] : [];
  });
  for (const [place, group] of Map.groupBy(named, ({ place: at }) => at)) {
    const offsets = group.map(({ offset }) => offset).toSorted((a, b) => a - b);
    const { kafkaTopic: topic, partition } = place;
    const begin = Number((await beginOffsets({ client, topic }))[partition] ?? 0n);
    for (const offset of offsets.filter((one) => one >= begin)) {
      const message = await messageAt({ client, policy, place, offset: BigInt(offset) });
      if (message?.token !== undefined) found.set(message.token, message);
    }
  }
  return found;
}

async function messageAt({
  client,
  policy,
  place: { kafkaTopic: topic, partition },
  offset: from,
}: {
  readonly client: ClientOptions;
  readonly policy: TopicPolicy;
  readonly place: Place;
  readonly offset: bigint;
}): Promise<OutboundMessage | undefined> {
  const { isolation } = policy;
  const range = { client, topic, partition, isolation, from, to: from + 1n, bytesMax };
  for await (const [record] of readRange(range)) return record && policy.read(record)?.outbound;
  return undefined;
}

/** Kafka gives whole batches, however little is asked for. */
const bytesMax = 1 << 16;
