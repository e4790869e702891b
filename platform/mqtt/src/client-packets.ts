import type { MessageProperties } from './owner.ts';

/** What a client may send, read and checked. */
export type ClientPacket =
  | ConnectPacket
  | PublishPacket
  | AckPacket
  | SubscribePacket
  | UnsubscribePacket
  | { readonly type: 'pingreq' }
  | DisconnectPacket
  | { readonly type: 'auth' };

export interface ConnectPacket {
  readonly type: 'connect';
  readonly protocolVersion: 4 | 5;
  readonly clientId: string;
  readonly cleanStart: boolean;
  readonly keepAliveSeconds: number;
  readonly userName: string | undefined;
  readonly password: Buffer | undefined;
  readonly will: WillPacket | undefined;
  /** `Infinity`: never. */
  readonly sessionExpirySeconds: number | undefined;
  readonly receiveMaximum: number;
  readonly packetBytesMax: number | undefined;
  readonly topicAliasMax: number;
  readonly authenticationMethod: string | undefined;
}

export interface WillPacket extends PacketMessage {
  readonly delaySeconds: number;
}

export interface PacketMessage {
  readonly topic: string;
  readonly payload: Buffer;
  readonly qos: 0 | 1 | 2;
  readonly retain: boolean;
  readonly expirySeconds: number | undefined;
  readonly properties: MessageProperties;
}

export interface PublishPacket extends PacketMessage {
  readonly type: 'publish';
  readonly dup: boolean;
  readonly packetId: number | undefined;
  readonly topicAlias: number | undefined;
}

export interface AckPacket {
  readonly type: 'puback' | 'pubrec' | 'pubrel' | 'pubcomp';
  readonly packetId: number;
  readonly reasonCode: number;
}

export interface SubscribePacket {
  readonly type: 'subscribe';
  readonly packetId: number;
  readonly identifier: number | undefined;
  readonly subscriptions: readonly {
    readonly filter: string;
    readonly qos: 0 | 1 | 2;
    readonly noLocal: boolean;
    readonly retainAsPublished: boolean;
    readonly retainHandling: number;
  }[];
}

export interface UnsubscribePacket {
  readonly type: 'unsubscribe';
  readonly packetId: number;
  readonly filters: readonly string[];
}

export interface DisconnectPacket {
  readonly type: 'disconnect';
  readonly reasonCode: number;
  readonly sessionExpirySeconds: number | undefined;
}
