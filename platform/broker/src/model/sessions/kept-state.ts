import type {
  InboundMessage,
  InFlight,
  MessageProperties,
  Subscription,
} from '@domicile/mqtt/owner.ts';
import {
  type ConnectFacts,
  type InFlightRecord,
  progressRecord,
  type StateRecord,
  stateRecord,
  type SubscriptionRecord,
  valueOf,
  type WillRecord,
} from './session-records.ts';
import type { Before, KeptSession } from './sessions-view.ts';

/** What of a session goes on with its next owner. */
export interface LivingSession {
  readonly connect: ConnectFacts;
  readonly disconnectedAtMs: number | undefined;
  readonly subscriptions: readonly Subscription[];
  readonly inFlight: readonly InFlightRecord[];
  readonly received: ReadonlyMap<number, bigint>;
  readonly feed: unknown;
}

type Left = Pick<Before, 'connect' | 'state' | 'progress' | 'received'>;

/** What stands in the log of the session's last owner; undefined: nothing that can be read. */
export function livingOf({ connect, state, progress, received }: Left): LivingSession | undefined {
  const read = state && valueOf(stateRecord, state);
  const facts = read?.connect ?? connect;
  if (!facts) return undefined;
  const going = progress && valueOf(progressRecord, progress);
  return {
    connect: facts,
    disconnectedAtMs: read?.disconnectedAtMs,
    subscriptions: (read?.subscriptions ?? []).map(subscriptionOf),
    inFlight: going?.inFlight ?? [],
    received,
    feed: going?.feed,
  };
}

/** Of the session as it is, whether its owner has written yet or not. */
export function currentOf(session: KeptSession): LivingSession | undefined {
  if (!session.before) return livingOf(session);
  return session.before.dropped ? undefined : livingOf(session.before);
}

/** When a session without a connection ends, Unix milliseconds. */
export function endsAtMs(
  { connect: { expirySeconds }, disconnectedAtMs }: LivingSession,
  lostAtMs: number,
): number {
  const seconds = expirySeconds ?? Infinity;
  return (disconnectedAtMs ?? lostAtMs) + seconds * 1000;
}

/** When its will is to be published; `Infinity`: there is none. */
export function willAtMs(session: LivingSession, lostAtMs: number): number {
  const { connect, disconnectedAtMs } = session;
  if (!connect.will) return Infinity;
  const at = (disconnectedAtMs ?? lostAtMs) + connect.willDelaySeconds * 1000;
  return Math.min(at, endsAtMs(session, lostAtMs));
}

export function stateOf(
  facts: Omit<StateRecord, 'subscriptions'>,
  subscriptions: readonly Subscription[],
): StateRecord {
  return { ...facts, subscriptions: subscriptions.map(subscriptionRecordOf) };
}

export function inFlightRecordOf(one: InFlight): InFlightRecord {
  const { packetId, stage } = one;
  const token = one.stage === 'sent' ? one.message.token : one.token;
  const qos = one.stage === 'sent' ? one.qos : undefined;
  return {
    packetId,
    stage,
    ...(token !== undefined && { token }),
    ...(qos !== undefined && { qos }),
  };
}

export function willRecordOf(message: InboundMessage): WillRecord {
  const { topic, payload, qos, retain, expirySeconds, properties } = message;
  const { correlationData, userProperties, ...plain } = properties;
  return {
    topic,
    payload: payload.toString('base64'),
    qos,
    retain,
    ...(expirySeconds !== undefined && { expirySeconds }),
    properties: {
      ...plain,
      ...(userProperties && {
        userProperties: userProperties.map(([name, value]) => [name, value]),
      }),
      ...(correlationData && { correlationData: correlationData.toString('base64') }),
    },
  };
}

export function willMessageOf(record: WillRecord): InboundMessage {
  const { payload, expirySeconds, properties, ...plain } = record;
  return {
    ...plain,
    payload: Buffer.from(payload, 'base64'),
    dup: false,
    packetId: undefined,
    expirySeconds,
    properties: propertiesOf(properties),
  };
}

/** Without what is absent: MQTT's properties tell absent from empty. */
function propertiesOf(record: WillRecord['properties']): MessageProperties {
  const { contentType, responseTopic, correlationData, payloadFormatIndicator } = record;
  const { userProperties } = record;
  return {
    ...(contentType !== undefined && { contentType }),
    ...(responseTopic !== undefined && { responseTopic }),
    ...(payloadFormatIndicator !== undefined && { payloadFormatIndicator }),
    ...(userProperties !== undefined && { userProperties }),
    ...(correlationData !== undefined && {
      correlationData: Buffer.from(correlationData, 'base64'),
    }),
  };
}

function subscriptionOf(record: SubscriptionRecord): Subscription {
  return { ...record, share: record.share, identifier: record.identifier };
}

function subscriptionRecordOf(subscription: Subscription): SubscriptionRecord {
  const { name, filter, qos, noLocal, retainAsPublished, retainHandling } = subscription;
  const { share, identifier } = subscription;
  return {
    name,
    filter,
    qos,
    noLocal,
    retainAsPublished,
    retainHandling,
    ...(share !== undefined && { share }),
    ...(identifier !== undefined && { identifier }),
  };
}
