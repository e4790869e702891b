import { z } from 'zod';
import type { CellClient } from './cell-client.ts';
import {
  latestRowSchema,
  summaryRowSchema,
  type LatestRow,
  type SummaryRow,
} from './model/answers.ts';
import { eventStreamParser, reconnectDelayMs, type StreamEvent } from './model/event-stream.ts';
import { problemFrom } from './model/problem.ts';
import { pause } from './pause.ts';

export type LiveState = 'connecting' | 'live' | 'waiting' | 'ended';

export interface LiveListener {
  readonly onLatest: (rows: readonly LatestRow[]) => void;
  readonly onSummaries: (rows: readonly SummaryRow[]) => void;
  readonly onState: (state: LiveState) => void;
  /** The stream cannot be resumed: ask for everything again. */
  readonly onReset: () => void;
}

/** A stream in which nothing moves for this long is taken for dead. */
const silenceMsMax = 45_000;
/** So long a cell may take to open one. */
const openMsMax = 20_000;

const latestSchema = rowsOf(latestRowSchema);
const summariesSchema = rowsOf(summaryRowSchema);

/** Follows a building until the signal: resumes by `Last-Event-ID`, starts anew on `reset`. Never throws. */
export async function followLive(
  client: Pick<CellClient, 'live'>,
  building: string,
  { listener, signal }: { listener: LiveListener; signal: AbortSignal },
): Promise<void> {
  let lastEventId: string | undefined;
  let failures = 0;
  while (!signal.aborted) {
    const attempt = new AbortController();
    const giveUp = () => attempt.abort();
    const bounded = AbortSignal.any([signal, attempt.signal]);
    try {
      const opening = client.live(building, lastEventId, bounded);
      const body = await watched(opening, openMsMax, giveUp);
      listener.onState('live');
      if (lastEventId === undefined) listener.onReset();
      for await (const events of eventsOf(body, giveUp)) {
        failures = 0;
        lastEventId = deliver(events, listener) ?? lastEventId;
      }
    } catch (error) {
      if (signal.aborted) return;
      if (!problemFrom(error).retriable) {
        listener.onState('ended');
        return;
      }
    }
    // The cell ends a stream with its token; only what does not come back at once is worth a word.
    if (failures > 0) listener.onState('waiting');
    await pause(reconnectDelayMs(failures, Math.random()), signal);
    failures += 1;
  }
}

/** Answers with the id to resume from. */
function deliver(events: readonly StreamEvent[], listener: LiveListener): string | undefined {
  const latest = events.filter(({ event }) => event === 'latest');
  const summaries = events.filter(({ event }) => event === 'summary');
  if (events.some(({ event }) => event === 'reset')) listener.onReset();
  if (latest.length > 0) listener.onLatest(latest.flatMap((one) => parsed(one, latestSchema)));
  if (summaries.length > 0)
    listener.onSummaries(summaries.flatMap((one) => parsed(one, summariesSchema)));
  return events.at(-1)?.lastEventId;
}

async function* eventsOf(
  body: ReadableStream<Uint8Array>,
  giveUp: () => void,
): AsyncGenerator<StreamEvent[]> {
  const parse = eventStreamParser();
  const decoder = new TextDecoder();
  const reader = body.getReader();
  try {
    while (true) {
      const { done, value } = await watched(reader.read(), silenceMsMax, giveUp);
      if (done) return;
      const events = parse(decoder.decode(value, { stream: true }));
      if (events.length > 0) yield events;
    }
  } finally {
    reader.releaseLock();
    await body.cancel().catch(() => undefined);
  }
}

function watched<Value>(work: Promise<Value>, ms: number, giveUp: () => void): Promise<Value> {
  const watchdog = setTimeout(giveUp, ms);
  return work.finally(() => clearTimeout(watchdog));
}

/** An event carries one row, or several. */
function rowsOf<Row extends z.ZodType>(row: Row) {
  return z.union([
    row.transform((one) => [one]),
    z.array(row),
    z.object({ rows: z.array(row) }).transform(({ rows }) => rows),
  ]);
}

/** What cannot be read is left out: the next full answer of the cell has it again. */
function parsed<Row>({ data }: StreamEvent, schema: z.ZodType<Row[]>): Row[] {
  try {
    return schema.safeParse(JSON.parse(data)).data ?? [];
  } catch {
    return [];
  }
}
