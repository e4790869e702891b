import type { LatestRow, SummaryRow } from '@domicile/core/answers/serving.ts';

/** A point goes out at most once in this time, as its events are due one after the other. */
export const latestEveryMs = 10_000;
/** By how much an event that went out late may bring the next one nearer. */
export const latestLateMsMax = 2_000;
/** What a reader who was away may catch up on. */
export const eventsKeptMax = 5_000;

export interface LiveEvent {
  readonly number: number;
  /** As it goes over the wire. */
  readonly text: string;
}

/**
 * The live events of one building: numbered, the newest kept for readers who come back. What a point said too soon after
 * its last event is held, and of what is held only the newest goes out.
 */
export class LiveFeed {
  readonly #id: string;
  readonly #events: LiveEvent[] = [];
  readonly #dueAtMs = new Map<string, number>();
  readonly #held = new Map<string, LatestRow>();
  #number = 0;

  /** `id` tells this feed from any that was before it or is elsewhere. */
  constructor(id: string) {
    this.#id = id;
  }

  /** The id of the newest event. */
  get lastEventId(): string {
    return `${this.#id}-${this.#number}`;
  }

  latest(rows: readonly LatestRow[], nowMs: number): LiveEvent[] {
    for (const row of rows) this.#held.set(pointOf(row), row);
    return this.due(nowMs);
  }

  /** What was held and may go out now. */
  due(nowMs: number): LiveEvent[] {
    const events: LiveEvent[] = [];
    for (const [point, row] of this.#held) {
      const dueAtMs = this.#dueAtMs.get(point) ?? nowMs;
      if (nowMs < dueAtMs) continue;
      this.#held.delete(point);
      // From when it was due: one late event must not make all later ones of a steady device late.
      const isLate = nowMs - dueAtMs <= latestLateMsMax;
      this.#dueAtMs.set(point, (isLate ? dueAtMs : nowMs) + latestEveryMs);
      events.push(this.#add('latest', row));
    }
    return events;
  }

  summaries(rows: readonly SummaryRow[]): LiveEvent[] {
    return rows.map((row) => this.#add('summary', row));
  }

  /** The events after one that a reader has seen; undefined if they are not all here. */
  after(lastEventId: string): readonly LiveEvent[] | undefined {
    const number = this.#numberOf(lastEventId);
    if (number === undefined || number > this.#number) return undefined;
    const first = this.#events[0]?.number ?? this.#number + 1;
    return number + 1 < first ? undefined : this.#events.slice(number + 1 - first);
  }

  #numberOf(eventId: string): number | undefined {
    const match = /^(.+)-(\d{1,15})$/.exec(eventId);
    return match?.[1] === this.#id ? Number(match[2]) : undefined;
  }

  #add(event: string, data: unknown): LiveEvent {
    this.#number += 1;
    const text = eventText({ id: this.lastEventId, event, data });
    const added = { number: this.#number, text };
    this.#events.push(added);
    if (this.#events.length > 2 * eventsKeptMax)
      this.#events.splice(0, this.#events.length - eventsKeptMax);
    return added;
  }
}

/** One event of `text/event-stream` (WHATWG HTML, section 9.2). */
export function eventText(of: { id: string; event: string; data: unknown }): string {
  return `id: ${of.id}\nevent: ${of.event}\ndata: ${JSON.stringify(of.data)}\n\n`;
}

function pointOf({ device, metric }: LatestRow): string {
  return `${device} ${metric}`;
}
