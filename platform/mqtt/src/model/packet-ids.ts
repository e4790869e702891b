const packetIdMax = 65_535;

/** Packet ids for what we send: 1 to 65,535, round and round, those in flight left out. */
export class PacketIds {
  #last: number;
  #taken = new Set<number>();

  constructor(last = 0) {
    this.#last = last;
  }

  /** `undefined` when all are in flight. */
  take(): number | undefined {
    if (this.#taken.size >= packetIdMax) return undefined;
    do this.#last = (this.#last % packetIdMax) + 1;
    while (this.#taken.has(this.#last));
    this.#taken.add(this.#last);
    return this.#last;
  }

  free(packetId: number): boolean {
    return this.#taken.delete(packetId);
  }
}
