import { TokenBucket } from './token-bucket.ts';

export interface RateMax {
  readonly messagesPerSecond: number;
  readonly bytesPerSecond: number;
}

/** What a taker has run over. `peak`: so much within one moment that others would feel it. */
export type RateLimit = 'messages' | 'bytes' | 'peak';

export interface Held {
  readonly holdMs: number;
  readonly limit: RateLimit;
}

const burstSeconds = 2;
/** A burst is spread: at most four times the rate, measured over moments of some milliseconds. */
const peakFactor = 4;
const peakSeconds = 0.02;

/** Messages and bytes of one taker: a rate, a burst of two seconds, and a bound on how fast the burst may come. */
export class Rate {
  readonly #messages: TokenBucket;
  readonly #bytes: TokenBucket;
  readonly #peakMessages: TokenBucket;
  readonly #peakBytes: TokenBucket;

  constructor({ messagesPerSecond, bytesPerSecond }: RateMax, nowMs: number) {
    this.#messages = bucket(messagesPerSecond, burstSeconds, nowMs);
    this.#bytes = bucket(bytesPerSecond, burstSeconds, nowMs);
    this.#peakMessages = bucket(peakFactor * messagesPerSecond, peakSeconds, nowMs);
    this.#peakBytes = bucket(peakFactor * bytesPerSecond, peakSeconds, nowMs);
  }

  /** Takes one message of so many bytes; the longest wait and what asks for it, or `undefined`. */
  take(bytes: number, nowMs: number): Held | undefined {
    const messagesMs = this.#messages.take(nowMs);
    const bytesMs = this.#bytes.take(nowMs, bytes);
    const peakMs = Math.max(this.#peakMessages.take(nowMs), this.#peakBytes.take(nowMs, bytes));
    const holdMs = Math.max(messagesMs, bytesMs, peakMs);
    if (holdMs === 0) return undefined;
    const limit = holdMs === messagesMs ? 'messages' : holdMs === bytesMs ? 'bytes' : 'peak';
    return { holdMs, limit };
  }
}

function bucket(perSecond: number, seconds: number, nowMs: number): TokenBucket {
  return new TokenBucket({ perSecond, burst: Math.max(1, perSecond * seconds), nowMs });
}
