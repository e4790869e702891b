import { TokenBucket } from './token-bucket.ts';

export interface HandshakeLineOptions {
  /** Of all addresses together. */
  readonly perSecondMax: number;
  /** Waiting, of all addresses together. */
  readonly waitingMax: number;
  readonly addressWaitingMax: number;
}

const burstSeconds = 0.02;

export type LineRefusal = 'line-full' | 'address-line-full';

/**
 * Handshakes cost more than anything else that a stranger may ask for, so only so many begin in a second. The
 * others stand in line, one line for each address, and addresses take turns: a storm from one holds up no other.
 */
export class HandshakeLine<Item> {
  readonly #options: HandshakeLineOptions;
  readonly #bucket: TokenBucket;
  readonly #lines = new Map<string, Item[]>();
  #waiting = 0;

  constructor(options: HandshakeLineOptions, nowMs: number) {
    this.#options = options;
    const { perSecondMax } = options;
    // Those that begin at once are computed at once: nobody else is served meanwhile.
    const burst = Math.max(1, perSecondMax * burstSeconds);
    this.#bucket = new TokenBucket({ perSecond: perSecondMax, burst, nowMs });
  }

  get waiting(): number {
    return this.#waiting;
  }

  /** Puts it at the end of its address's line, or says why not. */
  join(address: string, item: Item): LineRefusal | undefined {
    const { waitingMax, addressWaitingMax } = this.#options;
    const line = this.#lines.get(address) ?? [];
    if (line.length >= addressWaitingMax) return 'address-line-full';
    if (this.#waiting >= waitingMax) return 'line-full';
    line.push(item);
    this.#lines.set(address, line);
    this.#waiting += 1;
    return undefined;
  }

  /** It has gone away while it waited. */
  leave(address: string, item: Item): void {
    const line = this.#lines.get(address) ?? [];
    const at = line.indexOf(item);
    if (at < 0) return;
    line.splice(at, 1);
    this.#waiting -= 1;
    if (line.length === 0) this.#lines.delete(address);
  }

  /** Whose turn it is now, or `undefined`: nobody waits, or `waitMs` says when to ask again. */
  next(nowMs: number): Item | undefined {
    const [turn] = this.#lines;
    if (!turn || !this.#bucket.takeIfThere(nowMs)) return undefined;
    const [address, line] = turn;
    const item = line.shift();
    // The address goes behind the others, if it has more.
    this.#lines.delete(address);
    if (line.length > 0) this.#lines.set(address, line);
    this.#waiting -= 1;
    return item;
  }

  /** Whose turn it was had gone away already, and cost nothing. */
  giveBack(): void {
    this.#bucket.giveBack();
  }

  waitMs(nowMs: number): number {
    return this.#bucket.waitMs(nowMs);
  }
}
