import { randomUUID } from 'node:crypto';
import type { LatestRow, SummaryRow } from '@domicile/core/answers/serving.ts';
import { type LiveEvent, LiveFeed } from '../model/live-feed.ts';

/** How often held points are looked at. */
const tickMs = 200;
/** A feed is kept so long after its last reader left, so that readers can come back to it. */
const feedIdleMsMax = 120_000;

export interface LiveReader {
  /** Never throws and never waits. */
  deliver(text: string): void;
}

interface Feed {
  readonly feed: LiveFeed;
  readonly readers: Set<LiveReader>;
  leftAtMs: number;
}

/** The live feeds of the buildings that somebody watches. What nobody watches costs nothing. */
export class LiveHub {
  readonly #feeds = new Map<string, Feed>();
  readonly #timer: NodeJS.Timeout;
  readonly #now: () => number;

  constructor(now: () => number = Date.now) {
    this.#now = now;
    this.#timer = setInterval(() => this.#tick(), tickMs);
    this.#timer.unref();
  }

  latest(building: string, rows: readonly LatestRow[]): void {
    const feed = this.#feeds.get(building);
    if (feed && rows.length > 0) deliver(feed, feed.feed.latest(rows, this.#now()));
  }

  /** `rows` are made only if somebody watches. */
  summaries(building: string, rows: () => readonly SummaryRow[]): void {
    const feed = this.#feeds.get(building);
    if (feed) deliver(feed, feed.feed.summaries(rows()));
  }

  /** The feed to read on from, made if need be. */
  join(building: string, reader: LiveReader): LiveFeed {
    const present = this.#feeds.get(building) ?? {
      feed: new LiveFeed(randomUUID().slice(0, 8)),
      readers: new Set<LiveReader>(),
      leftAtMs: 0,
    };
    this.#feeds.set(building, present);
    present.readers.add(reader);
    return present.feed;
  }

  leave(building: string, reader: LiveReader): void {
    const feed = this.#feeds.get(building);
    feed?.readers.delete(reader);
    if (feed) feed.leftAtMs = this.#now();
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }

  #tick(): void {
    const now = this.#now();
    for (const [building, feed] of this.#feeds) {
      if (feed.readers.size === 0 && now - feed.leftAtMs > feedIdleMsMax)
        this.#feeds.delete(building);
      else deliver(feed, feed.feed.due(now));
    }
  }
}

function deliver({ readers }: Feed, events: readonly LiveEvent[]): void {
  if (events.length === 0) return;
  const text = events.map((event) => event.text).join('');
  for (const reader of readers) reader.deliver(text);
}
