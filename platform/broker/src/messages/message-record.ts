import { headers as names, streams } from '@domicile/core/streams.ts';
import type { OutputRecord } from '@domicile/kafka/records.ts';
import type { InboundMessage, MessageProperties } from '@domicile/mqtt/owner.ts';
import { z } from 'zod';

/** Headers of `mqtt-messages` and `mqtt-retained`, beside `schema`; what a message does not have is absent. */
export const messageHeaders = {
  /** Key of the session that published it. */
  publisher: 'publisher',
  qos: 'qos',
  retain: 'retain',
  /** Milliseconds since 1970. */
  expiresAt: 'expires-at',
  contentType: 'content-type',
  responseTopic: 'response-topic',
  /** Base64. */
  correlationData: 'correlation-data',
  payloadFormat: 'payload-format',
  /** JSON: pairs of name and value, in their order. */
  userProperties: 'user-properties',
  /** In `mqtt-retained`: where the message stands in its partition of `mqtt-messages`. */
  messageOffset: 'message-offset',
} as const;

/** What of a message its record says beside topic and payload. */
export interface MessageFacts {
  readonly publisher: string | undefined;
  readonly qos: 0 | 1 | 2;
  readonly retain: boolean;
  readonly expiresAtMs: number | undefined;
  readonly properties: MessageProperties;
}

/** A client's message as a record of `mqtt-messages`: the topic is the key, the payload the value. */
export function recordOf(
  message: InboundMessage,
  from: { readonly kafkaTopic: string; readonly publisher: string; readonly receivedAtMs: number },
): OutputRecord {
  const { receivedAtMs, kafkaTopic, publisher } = from;
  return {
    topic: kafkaTopic,
    key: Buffer.from(message.topic),
    value: message.payload,
    timestamp: BigInt(receivedAtMs),
    headers: {
      [names.schema]: streams['mqtt-messages'].schema,
      [messageHeaders.publisher]: publisher,
      [messageHeaders.qos]: `${message.qos}`,
      ...(message.retain && { [messageHeaders.retain]: '1' }),
      ...(message.expirySeconds !== undefined && {
        [messageHeaders.expiresAt]: `${receivedAtMs + message.expirySeconds * 1000}`,
      }),
      ...propertyHeaders(message.properties),
    },
  };
}

/** The same message as the record of `mqtt-retained`; an empty payload removes the topic's. */
export function retainedRecordOf(
  record: OutputRecord,
  to: { readonly kafkaTopic: string; readonly offset: bigint },
): OutputRecord {
  const { key, value, timestamp, headers } = record;
  return {
    topic: to.kafkaTopic,
    ...(key && { key }),
    ...(value && value.length > 0 && { value }),
    ...(timestamp !== undefined && { timestamp }),
    headers: {
      ...headers,
      [names.schema]: streams['mqtt-retained'].schema,
      [messageHeaders.messageOffset]: `${to.offset}`,
    },
  };
}

function propertyHeaders(properties: MessageProperties): Record<string, string> {
  const { contentType, responseTopic, correlationData, payloadFormatIndicator, userProperties } =
    properties;
  return {
    ...(contentType !== undefined && { [messageHeaders.contentType]: contentType }),
    ...(responseTopic !== undefined && { [messageHeaders.responseTopic]: responseTopic }),
    ...(correlationData && {
      [messageHeaders.correlationData]: correlationData.toString('base64'),
    }),
    ...(payloadFormatIndicator !== undefined && {
      [messageHeaders.payloadFormat]: payloadFormatIndicator ? '1' : '0',
    }),
    ...(userProperties && { [messageHeaders.userProperties]: JSON.stringify(userProperties) }),
  };
}

/** What a record says; what cannot be read of it counts as absent. */
export function factsOf(headers: ReadonlyMap<string, string>): MessageFacts {
  const expiresAt = headers.get(messageHeaders.expiresAt);
  return {
    publisher: headers.get(messageHeaders.publisher),
    qos: qosOf(headers.get(messageHeaders.qos)),
    retain: headers.get(messageHeaders.retain) === '1',
    expiresAtMs: expiresAt === undefined ? undefined : Number(expiresAt),
    properties: propertiesOf(headers),
  };
}

function propertiesOf(headers: ReadonlyMap<string, string>): MessageProperties {
  const contentType = headers.get(messageHeaders.contentType);
  const responseTopic = headers.get(messageHeaders.responseTopic);
  const correlationData = headers.get(messageHeaders.correlationData);
  const payloadFormat = headers.get(messageHeaders.payloadFormat);
  const userProperties = userPropertiesOf(headers.get(messageHeaders.userProperties));
  return {
    ...(contentType !== undefined && { contentType }),
    ...(responseTopic !== undefined && { responseTopic }),
    ...(correlationData !== undefined && {
      correlationData: Buffer.from(correlationData, 'base64'),
    }),
    ...(payloadFormat !== undefined && { payloadFormatIndicator: payloadFormat === '1' }),
    ...(userProperties && { userProperties }),
  };
}

const userPropertiesSchema = z.array(z.tuple([z.string(), z.string()]));

function userPropertiesOf(text: string | undefined): MessageProperties['userProperties'] {
  if (text === undefined) return undefined;
  try {
    return userPropertiesSchema.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}

function qosOf(text: string | undefined): 0 | 1 | 2 {
  return text === '2' ? 2 : text === '1' ? 1 : 0;
}
