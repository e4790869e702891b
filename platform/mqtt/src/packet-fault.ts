import { reason } from './reason-codes.ts';

/** A client's packet breaks the standard; the code goes into DISCONNECT or CONNACK, the words too. */
export class PacketFault extends Error {
  override readonly name = 'PacketFault';
  readonly reasonCode: number;

  constructor(reasonCode: number, why: string) {
    super(why);
    this.reasonCode = reasonCode;
  }
}

export const malformed = (why: string): PacketFault => new PacketFault(reason.malformedPacket, why);

export const protocolError = (why: string): PacketFault =>
  new PacketFault(reason.protocolError, why);
