import { z } from 'zod';

/** Values of the log of sessions: JSON, bytes as base64. */

const properties = z.object({
  contentType: z.string().optional(),
  responseTopic: z.string().optional(),
  correlationData: z.string().optional(),
  payloadFormatIndicator: z.boolean().optional(),
  userProperties: z.array(z.tuple([z.string(), z.string()])).optional(),
});

const qos = z.union([z.literal(0), z.literal(1), z.literal(2)]);

const will = z.object({
  topic: z.string(),
  payload: z.string(),
  qos,
  retain: z.boolean(),
  expirySeconds: z.number().optional(),
  properties,
});
export type WillRecord = z.infer<typeof will>;

/** What a CONNECT said that outlives its connection. */
const connectFacts = z.object({
  clientId: z.string(),
  building: z.string(),
  gateway: z.string().optional(),
  protocolVersion: z.union([z.literal(4), z.literal(5)]),
  /** Null: it never ends by itself. */
  expirySeconds: z.number().nullable(),
  will: will.optional(),
  willDelaySeconds: z.number(),
});
export type ConnectFacts = z.infer<typeof connectFacts>;

/** A replica takes the session. Its offset is the session's epoch from then on. */
export const claimRecord = z.object({
  replica: z.string(),
  /** It counts only if this is the epoch at that point of the log. Absent: it counts. */
  expects: z.string().optional(),
  /** Nothing of what was before lives on. */
  clean: z.boolean().optional(),
  /** Absent: as they were. */
  connect: connectFacts.optional(),
});
export type ClaimRecord = z.infer<typeof claimRecord>;

const subscription = z.object({
  name: z.string(),
  filter: z.string(),
  share: z.string().optional(),
  qos,
  noLocal: z.boolean(),
  retainAsPublished: z.boolean(),
  retainHandling: z.number(),
  identifier: z.number().optional(),
});
export type SubscriptionRecord = z.infer<typeof subscription>;

export const stateRecord = z.object({
  replica: z.string(),
  claimId: z.string(),
  /** The claim of this epoch was bound to the one before, which is gone by now: this record stands for it. */
  adopted: z.boolean().optional(),
  connect: connectFacts,
  /** When the connection ended, Unix milliseconds; absent: it is connected. */
  disconnectedAtMs: z.number().optional(),
  subscriptions: z.array(subscription),
});
export type StateRecord = z.infer<typeof stateRecord>;

const inFlight = z.object({
  packetId: z.number(),
  stage: z.enum(['sent', 'received']),
  token: z.string().optional(),
  /** Of what was sent; absent: 2. */
  qos: z.union([z.literal(1), z.literal(2)]).optional(),
});
export type InFlightRecord = z.infer<typeof inFlight>;

export const progressRecord = z.object({
  inFlight: z.array(inFlight),
  /** The feed's, as it gave it. */
  feed: z.unknown(),
});
export type ProgressRecord = z.infer<typeof progressRecord>;

/** The value as the schema wants it, or undefined: it is not believed. */
export function valueOf<Schema extends z.ZodType>(
  schema: Schema,
  value: Buffer,
): z.output<Schema> | undefined {
  try {
    return schema.safeParse(JSON.parse(value.toString('utf8'))).data;
  } catch {
    return undefined;
  }
}
