import { setTimeout as wait } from 'node:timers/promises';
import { type BuildingId, parseDeviceId } from '@domicile/core/identities.ts';
import { topicText } from '@domicile/core/topics.ts';
import type { AgentEvents } from '../events.ts';
import { type Message, messagesOf } from '../model/batches.ts';
import { type Range, type Ranges, holds, removeRange } from '../model/ranges.ts';
import type { StoredRecord } from '../model/record.ts';
import type { ReadPart, Store } from '../store/store.ts';
import { type Link, MessageRefused } from './link.ts';

/** What is read from the store and sent as one part; the most that the backlog takes of memory. */
const partRecordsMax = 2000;
const partBytesMax = 2 * 1024 * 1024;
const idleWaitMs = 250;
const unreadableWaitMs = 10_000;
const refusedWaitMs = { first: 1000, max: 60_000 };

export interface BacklogOptions {
  readonly building: BuildingId;
  readonly events: AgentEvents;
  readonly bodyOf: (record: StoredRecord) => Buffer | undefined;
  readonly readingsPerSecond: number;
  readonly inFlightMax: number;
  /** Before what the disk did not give is asked for again. */
  readonly unreadableWaitMs?: number;
  /** What the live lane has taken on of a store. */
  readonly taken: (store: Store) => Ranges;
}

/**
 * Sends what an outage left, oldest first, many readings of one device a message, at a bounded rate; runs until the link
 * is lost or `signal` aborts. What the cell refuses is tried again later, after everything else; so is what the disk does not
 * give, and live data goes up meanwhile.
 */
export async function runBacklog(
  stores: () => readonly Store[],
  link: Pick<Link, 'lost' | 'publish' | 'payloadBytesMax'>,
  options: BacklogOptions,
  signal: AbortSignal,
): Promise<void> {
  const ended = AbortSignal.any([signal, link.lost]);
  while (!ended.aborted) {
    try {
      await sendBacklog({ stores, link, options, ended });
    } catch (error) {
      options.events.backlogFailed(error instanceof Error ? error.message : 'unknown');
      await pause(options.unreadableWaitMs ?? unreadableWaitMs, ended);
    }
  }
}

interface Backlog {
  readonly stores: () => readonly Store[];
  readonly link: Pick<Link, 'lost' | 'publish' | 'payloadBytesMax'>;
  readonly options: BacklogOptions;
  readonly ended: AbortSignal;
}

async function sendBacklog({ stores, link, options, ended }: Backlog): Promise<void> {
  const positions = new Map<Store, number>();
  let refusedMs = 0;
  while (!ended.aborted) {
    const turn = nextTurn(stores(), options, positions);
    if (!turn) {
      const isRetry = positions.size > 0 && refusedMs > 0;
      positions.clear();
      await pause(isRetry ? refusedMs : idleWaitMs, ended);
      continue;
    }
    const { store, range } = turn;
    const limits = { recordsMax: partRecordsMax, bytesMax: partBytesMax };
    const part = await store.read(range.from, range.to, limits);
    const { records, next } = readyOf(part, options);
    if (next === range.from) {
      // It waits for its time, and what came after it behind it.
      await pause(idleWaitMs, ended);
      continue;
    }
    const unsent = records.filter(
      (record) => holds(store.unsent, record.index) && !store.dropIfOrdered(record),
    );
    const messages = messagesOf(unsent, link.payloadBytesMax);
    const failed = await sendAll(messages, {
      store,
      link,
      options,
      ended,
    });
    if (failed === 0) store.sentUpTo(range.from, next);
    // A cell that takes some of it is asked again soon.
    if (failed > 0)
      refusedMs =
        failed < messages.length
          ? refusedWaitMs.first
          : Math.min(refusedWaitMs.max, Math.max(refusedWaitMs.first, refusedMs * 2));
    else if (positions.size === 0) refusedMs = 0;
    positions.set(store, next);
  }
}

/** Records as they are sent, up to the first whose time may still become known. */
function readyOf(
  { records, next }: ReadPart,
  { bodyOf }: BacklogOptions,
): { records: readonly StoredRecord[]; next: number } {
  const ready: StoredRecord[] = [];
  for (const record of records) {
    const body = bodyOf(record);
    if (body === undefined) return { records: ready, next: record.index };
    ready.push(body === record.body ? record : { ...record, body });
  }
  return { records: ready, next };
}

/** The oldest store that has something to send, and what of it. */
function nextTurn(
  stores: readonly Store[],
  options: BacklogOptions,
  positions: ReadonlyMap<Store, number>,
): { store: Store; range: Range } | undefined {
  for (const store of stores) {
    const position = positions.get(store) ?? 0;
    const range = nextRange(store.unsent, options.taken(store), position);
    if (range) return { store, range };
  }
  return undefined;
}

/** The oldest unsent range at or after `position` that the live lane has not taken on. */
function nextRange(unsent: Ranges, taken: Ranges, position: number): Range | undefined {
  const free = taken.reduce(removeRange, removeRange(unsent, { from: 0, to: position }));
  return free[0];
}

interface Sending {
  readonly store: Store;
  readonly link: Backlog['link'];
  readonly options: BacklogOptions;
  readonly ended: AbortSignal;
}

/** Sends messages in order, a bounded number at a time; resolves to how many were not acked. */
async function sendAll(messages: readonly Message[], sending: Sending): Promise<number> {
  const { store, options, ended } = sending;
  const acked: Message[] = [];
  const inFlight = new Set<Promise<void>>();
  for (const message of messages) {
    if (ended.aborted) break;
    while (inFlight.size >= options.inFlightMax) await Promise.race(inFlight);
    const sent = sendOne(message, sending, acked);
    inFlight.add(sent);
    void sent.finally(() => inFlight.delete(sent));
    await pause((message.indices.length * 1000) / options.readingsPerSecond, ended);
  }
  await Promise.all(inFlight);
  const failed = messages.length - acked.length;
  const indices = acked.flatMap((message) => message.indices);
  if (failed > 0) store.sent(indices.toSorted((left, right) => left - right));
  return failed;
}

async function sendOne(
  message: Message,
  { link, options }: Sending,
  acked: Message[],
): Promise<void> {
  const { device, payload, indices } = message;
  const { building, events } = options;
  const from = performance.now();
  const topic = topicText({ kind: 'backfill', building, device: parseDeviceId(device) });
  try {
    await link.publish(topic, payload);
    const seconds = (performance.now() - from) / 1000;
    events.messageSent({ lane: 'backlog', readings: indices.length, seconds });
    acked.push(message);
  } catch (error) {
    if (error instanceof MessageRefused)
      events.messageRefused({ lane: 'backlog', device, reasonCode: error.reasonCode });
  }
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  if (ms >= 1) await wait(ms, undefined, { signal }).catch(() => undefined);
}
