import type { SubscribePacket } from './client-packets.ts';
import { encode } from './encode.ts';
import type { MqttLimits } from './limits.ts';
import type { LiveSession } from './live-session.ts';
import { isTopicFilter } from './model/topic-filters.ts';
import type { MqttOwner, Subscription } from './owner.ts';
import { failureFrom, reason } from './reason-codes.ts';

interface Host<Identity, Peer> {
  readonly owner: MqttOwner<Identity, Peer>;
  readonly limits: MqttLimits;
}

/** SUBSCRIBE: one verdict a filter, the SUBACK, then what the owner delivers for it. */
export function subscribe<Identity, Peer>(
  { owner, limits }: Host<Identity, Peer>,
  session: LiveSession<Identity>,
  packet: SubscribePacket,
  write: (bytes: Buffer) => void,
): void {
  const renewed: { readonly subscription: Subscription; readonly isNew: boolean }[] = [];
  const granted = packet.subscriptions.map((asked) => {
    const fault = filterFault(session, asked.filter, limits);
    const code = fault ?? owner.subscribe(session, asked.filter, asked.qos);
    if (code >= failureFrom) return code;
    const isNew = !session.subscriptions.has(asked.filter);
    const subscription: Subscription = {
      ...asked,
      qos: code === 0 ? 0 : 1,
      identifier: packet.identifier,
    };
    session.subscribe(subscription);
    renewed.push({ subscription, isNew });
    return code;
  });
  write(
    encode(
      {
        cmd: 'suback',
        messageId: packet.packetId,
        granted:
          session.protocolVersion === 5
            ? granted
            : granted.map((code) => (code >= failureFrom ? reason.unspecified : code)),
      },
      session.protocolVersion,
    ),
  );
  for (const { subscription, isNew } of renewed) owner.subscribed?.(session, subscription, isNew);
}

export function unsubscribe<Identity>(
  session: LiveSession<Identity>,
  packetId: number,
  filters: readonly string[],
): Buffer {
  const granted = filters.map((filter) =>
    session.unsubscribe(filter) ? reason.success : reason.noSubscriptionExisted,
  );
  return encode({ cmd: 'unsuback', messageId: packetId, granted }, session.protocolVersion);
}

function filterFault<Identity>(
  session: LiveSession<Identity>,
  filter: string,
  limits: MqttLimits,
): number | undefined {
  if (filter.startsWith('$share/')) return reason.sharedSubscriptionsUnsupported;
  if (!isTopicFilter(filter, limits.topicLevelsMax)) return reason.topicFilterInvalid;
  const more = !session.subscriptions.has(filter);
  return more && session.subscriptions.size >= limits.subscriptionsMax
    ? reason.quotaExceeded
    : undefined;
}
