import type { MessageProperties } from './owner.ts';
import { PacketFault } from './packet-fault.ts';
import { reason } from './reason-codes.ts';

const ofMessages = [
  'payloadFormatIndicator',
  'messageExpiryInterval',
  'contentType',
  'responseTopic',
  'correlationData',
  'userProperties',
];

/** MQTT 5, section 2.2.2.2: which packet may hold which. */
const allowed = {
  connect: new Set([
    'sessionExpiryInterval',
    'receiveMaximum',
    'maximumPacketSize',
    'topicAliasMaximum',
    'requestResponseInformation',
    'requestProblemInformation',
    'userProperties',
    'authenticationMethod',
    'authenticationData',
  ]),
  will: new Set([...ofMessages, 'willDelayInterval']),
  publish: new Set([...ofMessages, 'topicAlias']),
  subscribe: new Set(['subscriptionIdentifier', 'userProperties']),
  disconnect: new Set([
    'sessionExpiryInterval',
    'reasonString',
    'userProperties',
    'serverReference',
  ]),
};

/**
 * The codec's properties, checked: it makes an array of what came twice, -1 or null of what was cut off,
 * and takes any property in any packet.
 */
export class PacketProperties {
  readonly #values: ReadonlyMap<string, unknown>;

  constructor(packet: keyof typeof allowed, properties: object | undefined) {
    this.#values = new Map<string, unknown>(Object.entries(properties ?? {}));
    for (const [name, value] of this.#values) {
      const twice = Array.isArray(value) && name !== 'userProperties';
      if (twice || !allowed[packet].has(name)) throw new PacketFault(reason.protocolError);
    }
  }

  integer(name: string): number | undefined {
    const value = this.#values.get(name);
    if (value === undefined) return undefined;
    if (typeof value !== 'number' || value < 0) throw new PacketFault(reason.malformedPacket);
    return value;
  }

  /** Zero is a protocol error. */
  positive(name: string): number | undefined {
    const value = this.integer(name);
    if (value === 0) throw new PacketFault(reason.protocolError);
    return value;
  }

  text(name: string): string | undefined {
    const value = this.#values.get(name);
    if (value === undefined) return undefined;
    if (typeof value !== 'string' || value.includes('\0')) {
      throw new PacketFault(reason.malformedPacket);
    }
    return value;
  }

  /** What goes on to subscribers unchanged (section 3.3.2.3). */
  forwarded(): MessageProperties {
    if (this.#values.size === 0) return {};
    const contentType = this.text('contentType');
    const responseTopic = this.text('responseTopic');
    const correlationData = this.#values.get('correlationData');
    const format = this.#values.get('payloadFormatIndicator');
    const userProperties = this.#userProperties();
    if (correlationData !== undefined && !Buffer.isBuffer(correlationData)) {
      throw new PacketFault(reason.malformedPacket);
    }
    return {
      ...(contentType === undefined ? {} : { contentType }),
      ...(responseTopic === undefined ? {} : { responseTopic }),
      ...(correlationData === undefined ? {} : { correlationData }),
      ...(typeof format === 'boolean' ? { payloadFormatIndicator: format } : {}),
      ...(userProperties === undefined ? {} : { userProperties }),
    };
  }

  #userProperties(): (readonly [string, string])[] | undefined {
    const value = this.#values.get('userProperties');
    if (typeof value !== 'object' || value === null) return undefined;
    const read: (readonly [string, string])[] = [];
    for (const [name, given] of Object.entries(value)) {
      const texts: unknown[] = Array.isArray(given) ? given : [given];
      for (const text of texts) {
        if (typeof text !== 'string') throw new PacketFault(reason.malformedPacket);
        read.push([name, text]);
      }
    }
    return read;
  }
}
