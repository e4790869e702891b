import { MessageRing, type RingBounds } from '../model/messages/message-ring.ts';
import type { FeedMessage } from './feed.ts';
import type { Reading } from './reading.ts';
import type { Place } from './topic-policy.ts';

interface Held {
  readonly offset: number;
  readonly bytes: number;
  readonly message: FeedMessage;
}

const heldOverheadBytes = 200;

/** The end of a partition as this replica sees it, and who reads there. */
export class PartitionTail {
  readonly place: Place;
  readonly readings = new Set<Reading>();
  readonly #bounds: RingBounds;
  #ring: MessageRing<Held> | undefined;
  /** When nobody read any more, in milliseconds of the process. */
  idleSinceMs: number | undefined;

  constructor(place: Place, bounds: RingBounds) {
    this.place = place;
    this.#bounds = bounds;
  }

  /** Whether it is followed, so that it has an end. */
  get isFollowed(): boolean {
    return this.#ring !== undefined;
  }

  /** Behind the last record that was seen. */
  get next(): number {
    return this.#ring?.next ?? 0;
  }

  /** From here on messages are held in memory. */
  get heldFrom(): number {
    return this.#ring?.from ?? Infinity;
  }

  begin(offset: number): void {
    this.#ring = new MessageRing(offset, this.#bounds);
  }

  end(): void {
    this.#ring = undefined;
  }

  hold(message: FeedMessage): void {
    const { offset, payload, topic } = message;
    const bytes = payload.length + topic.length + heldOverheadBytes;
    this.#ring?.push({ offset, bytes, message });
  }

  reach(offset: number): void {
    this.#ring?.reach(offset);
  }

  /** The first held message at `offset` or behind it. */
  since(offset: number): FeedMessage | undefined {
    return this.#ring?.since(offset)?.message;
  }
}
