import type { SubscribePacket, UnsubscribePacket } from './client-packets.ts';
import type { ConnectionParts, PartsHost } from './connection-parts.ts';
import type { LiveSession } from './live-session.ts';
import type { Subscription } from './owner.ts';
import { PacketFault, protocolError } from './packet-fault.ts';
import { encodeSuback } from './packets/subscribe.ts';
import { encodeUnsuback } from './packets/unsubscribe.ts';
import { failureFrom, reason } from './reason-codes.ts';
import { parseSubscriptionName } from './topic-filters.ts';

/** SUBSCRIBE: the owner's verdict filter by filter, saved, then the SUBACK. Rejects with `PacketFault`. */
export async function subscribe<Identity, Peer>(
  parts: ConnectionParts<Identity, Peer>,
  session: LiveSession<Identity>,
  packet: SubscribePacket,
): Promise<void> {
  const { host } = parts;
  const asked = askedIn(packet, host);
  const codes: number[] = [];
  const made: { subscription: Subscription; isNew: boolean }[] = [];
  for (const each of asked) {
    const code = typeof each === 'number' ? each : await verdict(host, session, each);
    codes.push(code);
    if (typeof each === 'number' || code >= failureFrom) continue;
    const isNew = !session.subscriptions.has(each.name);
    const subscription = { ...each, qos: qosOf(Math.min(code, each.qos, host.features.qosMax)) };
    codes[codes.length - 1] = subscription.qos;
    session.subscribe(subscription);
    made.push({ subscription, isNew });
  }
  if (made.length > 0) await session.kept();
  if (parts.gone || session.ended) return;
  answer(parts, encodeSuback(packet.packetId, codes, parts.client.protocolVersion));
  if (parts.gone) return;
  for (const { subscription, isNew } of made) {
    host.owner.subscribed?.(session, subscription, isNew);
  }
}

/** UNSUBSCRIBE, saved, then the UNSUBACK. */
export async function unsubscribe<Identity, Peer>(
  parts: ConnectionParts<Identity, Peer>,
  session: LiveSession<Identity>,
  { packetId, filters }: UnsubscribePacket,
): Promise<void> {
  const taken = filters.map((name) => session.unsubscribe(name));
  for (const subscription of taken) {
    if (subscription) parts.host.owner.unsubscribed?.(session, subscription);
  }
  if (taken.some((each) => each !== undefined)) await session.kept();
  if (parts.gone) return;
  const codes = taken.map((each) => (each ? reason.success : reason.noSubscriptionExisted));
  answer(parts, encodeUnsuback(packetId, codes, parts.client.protocolVersion));
}

/** An answer cannot be cut: who cannot take it cannot be served (section 3.1.2.11.4). */
function answer<Identity, Peer>(parts: ConnectionParts<Identity, Peer>, packet: Buffer): void {
  if (packet.length <= parts.client.packetBytesMax) parts.writer.write(packet);
  else parts.close(reason.packetTooLarge, { reasonString: 'Its answer is too large for you' });
}

/** What is asked for, or the code that refuses it. */
function askedIn<Identity, Peer>(
  { subscriptions, identifier }: SubscribePacket,
  { limits, features }: PartsHost<Identity, Peer>,
): readonly (Subscription | number)[] {
  if (identifier !== undefined && !features.subscriptionIdentifiers) {
    const why = 'Subscription identifiers are not served';
    throw new PacketFault(reason.subscriptionIdentifiersUnsupported, why);
  }
  return subscriptions.map(({ filter: name, ...options }) => {
    const parsed = parseSubscriptionName(name, limits.topicLevelsMax);
    if (!parsed) return reason.topicFilterInvalid;
    // Section 3.8.3.1.
    if (parsed.share !== undefined && options.noLocal) {
      throw protocolError('A shared subscription with "no local"');
    }
    if (parsed.share !== undefined && !features.sharedSubscriptions) {
      return reason.sharedSubscriptionsUnsupported;
    }
    if (!features.wildcardSubscriptions && /[+#]/.test(parsed.filter)) {
      return reason.wildcardSubscriptionsUnsupported;
    }
    return { ...options, ...parsed, name, identifier };
  });
}

function verdict<Identity, Peer>(
  { owner, limits }: PartsHost<Identity, Peer>,
  session: LiveSession<Identity>,
  asked: Subscription,
): number | Promise<number> {
  const isNew = !session.subscriptions.has(asked.name);
  return isNew && session.subscriptions.size >= limits.subscriptionsMax
    ? reason.quotaExceeded
    : owner.subscribe(session, asked);
}

const qosOf = (code: number): 0 | 1 | 2 => (code === 2 ? 2 : code === 1 ? 1 : 0);
