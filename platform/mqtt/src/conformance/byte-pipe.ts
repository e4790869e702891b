import { Duplex } from 'node:stream';

/** One end of a connection in memory. What one end does the other sees as it would of a socket, reset included. */
class PipeEnd extends Duplex {
  peer: PipeEnd | undefined;
  #taken: (() => void) | undefined;

  constructor() {
    super({ allowHalfOpen: false });
  }

  override _read(): void {
    this.peer?.go();
  }

  override _write(bytes: Buffer, _encoding: string, done: () => void): void {
    if (!this.peer || this.peer.destroyed || this.peer.push(bytes)) done();
    else this.#taken = done;
  }

  override _final(done: () => void): void {
    if (this.peer && !this.peer.destroyed) this.peer.push(null);
    done();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.go();
    const { peer } = this;
    setImmediate(() => peer?.destroy());
    done(error);
  }

  /** What was written may go on. */
  go(): void {
    const taken = this.#taken;
    this.#taken = undefined;
    taken?.();
  }
}

/** Both ends of a connection without a network, for what is done a million times. */
export function bytePipe(): readonly [Duplex, Duplex] {
  const [one, other] = [new PipeEnd(), new PipeEnd()];
  one.peer = other;
  other.peer = one;
  return [one, other];
}
