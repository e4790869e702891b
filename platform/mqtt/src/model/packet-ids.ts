export const packetIdMax = 65_535;

/** Packet ids for what we send: 1 to 65,535, round and round, those in flight left out. */
export class PacketIds {
  #last: number;

  constructor(last = 0) {
    this.#last = last;
  }

  /** `undefined` when all are in flight. */
  take(inFlight: { readonly size: number; has(packetId: number): boolean }): number | undefined {
    if (inFlight.size >= packetIdMax) return undefined;
    do this.#last = (this.#last % packetIdMax) + 1;
    while (inFlight.has(this.#last));
    return this.#last;
  }
}
