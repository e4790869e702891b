import type { SubscribePacket } from './client-packets.ts';
import { encode } from './encode.ts';
import type { MqttLimits } from './limits.ts';
import type { LiveSession } from './live-session.ts';
import { parseSubscriptionName } from './model/topic-filters.ts';
import type { MqttOwner, Subscription } from './owner.ts';
import { PacketFault } from './packet-fault.ts';
import { failureFrom, reason } from './reason-codes.ts';

interface Host<Identity, Peer> {
  readonly owner: MqttOwner<Identity, Peer>;
  readonly limits: MqttLimits;
}

/** What a SUBSCRIBE came to: one code a filter, and what the session has now. */
export interface Subscribed {
  readonly codes: readonly number[];
  readonly made: readonly { readonly subscription: Subscription; readonly isNew: boolean }[];
}

/** Asks the owner filter by filter and takes up what it grants. Throws `PacketFault`. */
export async function subscribe<Identity, Peer>(
  host: Host<Identity, Peer>,
  session: LiveSession<Identity>,
  { subscriptions, identifier }: SubscribePacket,
): Promise<Subscribed> {
  const asked = subscriptions.map(({ filter: name, ...options }) => {
    const parsed = parseSubscriptionName(name, host.limits.topicLevelsMax);
    // MQTT 5, section 3.8.3.1.
    if (parsed?.share !== undefined && options.noLocal) throw new PacketFault(reason.protocolError);
    return parsed && { ...options, ...parsed, name, identifier };
  });
  const codes: number[] = [];
  const made: { subscription: Subscription; isNew: boolean }[] = [];
  for (const each of asked) {
    const code = await verdict(host, session, each);
    codes.push(code);
    if (!each || code >= failureFrom) continue;
    const isNew = !session.subscriptions.has(each.name);
    const subscription = { ...each, qos: qosOf(Math.min(code, each.qos)) };
    session.subscribe(subscription);
    made.push({ subscription, isNew });
  }
  return { codes, made };
}

function verdict<Identity, Peer>(
  { owner, limits }: Host<Identity, Peer>,
  session: LiveSession<Identity>,
  asked: Subscription | undefined,
): number | Promise<number> {
  if (!asked) return reason.topicFilterInvalid;
  const more = !session.subscriptions.has(asked.name);
  if (more && session.subscriptions.size >= limits.subscriptionsMax) return reason.quotaExceeded;
  return owner.subscribe(session, asked);
}

const qosOf = (code: number): 0 | 1 | 2 => (code === 2 ? 2 : code === 1 ? 1 : 0);

export function encodeSuback(
  packetId: number,
  codes: readonly number[],
  protocolVersion: 4 | 5,
): Buffer {
  const granted =
    protocolVersion === 5
      ? [...codes]
      : codes.map((code) => (code >= failureFrom ? reason.unspecified : code));
  return encode({ cmd: 'suback', messageId: packetId, granted }, protocolVersion);
}
