import { PlatformError } from '@domicile/core/errors.ts';
import type { Claims } from '@domicile/runtime/claims.ts';
import { stoppingOf } from '@domicile/runtime/http.ts';
import type { Request, Response } from 'express';
import { eventText, type LiveFeed } from '../model/live-feed.ts';
import type { ServingEvents } from './events.ts';
import type { LiveHub } from './live-hub.ts';

export const heartbeatMs = 15_000;
/** What a reader may leave untaken before it is cut; it comes back by `Last-Event-ID`. */
export const untakenBytesMax = 512 * 1024;
/** What a reader is asked to wait before it comes back. */
const comeBackMs = 2_000;
const streamMsMax = 24 * 3_600_000;

interface Live {
  readonly hub: LiveHub;
  readonly events: ServingEvents;
  readonly readersMax: number;
}

/** Serves live streams: bounded in number, each cut when its reader does not keep up or its token has expired. */
export function liveRoute({ hub, events, readersMax }: Live) {
  let readers = 0;
  return (request: Request, response: Response, of: { building: string; claims: Claims }): void => {
    if (readers >= readersMax)
      throw new PlatformError('RATE_LIMITED', 'Cannot open a live stream: too many are open');
    const { building, claims } = of;
    const reader = {
      deliver(text: string) {
        if (response.writableEnded) return;
        if (response.writableLength > untakenBytesMax) {
          events.readerDropped(building);
          response.destroy();
        } else response.write(text);
      },
    };
    response.setHeader('Content-Type', 'text/event-stream');
    response.setHeader('Cache-Control', 'no-store');
    response.setHeader('X-Accel-Buffering', 'no');
    response.flushHeaders();
    if (request.method === 'HEAD') {
      response.end();
      return;
    }
    readers += 1;
    events.readersChanged(readers);
    const feed = hub.join(building, reader);
    response.write(greetingOf(feed, request.get('last-event-id') ?? ''));

    const heartbeat = setInterval(() => reader.deliver(': alive\n\n'), heartbeatMs);
    const expiry = AbortSignal.any([
      stoppingOf(request),
      AbortSignal.timeout(clamped(claims.expiresAt * 1000 - Date.now())),
    ]);
    const end = () => response.end();
    expiry.addEventListener('abort', end);
    if (expiry.aborted) end();
    response.once('close', () => {
      clearInterval(heartbeat);
      expiry.removeEventListener('abort', end);
      hub.leave(building, reader);
      readers -= 1;
      events.readersChanged(readers);
    });
  };
}

/** Where the reader stands, and what it missed; a `reset` if that is not all here, or more than it could take at once. */
function greetingOf(feed: LiveFeed, seen: string): string {
  if (seen === '') return beginAt(feed.lastEventId);
  const missed = feed
    .after(seen)
    ?.map(({ text }) => text)
    .join('');
  if (missed !== undefined && missed.length <= untakenBytesMax / 2) return beginAt(seen) + missed;
  const reset = { id: feed.lastEventId, event: 'reset', data: { reason: 'too-old' } };
  return beginAt(feed.lastEventId) + eventText(reset);
}

function beginAt(id: string): string {
  return `retry: ${comeBackMs}\nid: ${id}\n\n`;
}

function clamped(ms: number): number {
  return Math.min(Math.max(0, ms), streamMsMax);
}
