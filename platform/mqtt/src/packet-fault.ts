/** A client's packet breaks the standard; the code goes into DISCONNECT or CONNACK. */
export class PacketFault extends Error {
  override readonly name = 'PacketFault';
  readonly reasonCode: number;

  constructor(reasonCode: number) {
    super(`Cannot read packet: reason code ${reasonCode}`);
    this.reasonCode = reasonCode;
  }
}
