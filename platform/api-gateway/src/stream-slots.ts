import { PlatformError } from '@domicile/core/errors.ts';
import type { Events } from './events.ts';

export interface StreamSlots {
  /** Throws `RATE_LIMITED` if the subject, or everybody together, holds as many as may be. */
  take(subject: string): Disposable;
}

export function streamSlots(
  limits: { readonly perSubject: number; readonly inAll: number },
  events: Events,
): StreamSlots {
  const held = new Map<string, number>();
  let all = 0;
  return {
    take(subject) {
      const own = held.get(subject) ?? 0;
      if (own >= limits.perSubject || all >= limits.inAll) {
        events.limited('streams');
        throw new PlatformError('RATE_LIMITED', 'Cannot open another live stream: close one first');
      }
      held.set(subject, own + 1);
      all += 1;
      events.streamOpened();
      return {
        [Symbol.dispose]() {
          const left = (held.get(subject) ?? 1) - 1;
          if (left > 0) held.set(subject, left);
          else held.delete(subject);
          all -= 1;
          events.streamClosed();
        },
      };
    },
  };
}
