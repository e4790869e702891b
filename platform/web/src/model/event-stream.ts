/** Server-sent events (HTML Living Standard, 9.2), read from chunks of text. */

export interface StreamEvent {
  readonly event: string;
  readonly data: string;
  /** The id that stands after this event; what a reader resumes from. */
  readonly lastEventId: string | undefined;
}

/** A parser with memory: chunks may be cut anywhere, also between CR and LF. */
export function eventStreamParser(): (chunk: string) => StreamEvent[] {
  let rest = '';
  let lastEventId: string | undefined;
  let event = '';
  let data: string[] = [];

  const take = (line: string): StreamEvent | undefined => {
    if (line === '') {
      const complete = { event: event || 'message', data: data.join('\n'), lastEventId };
      const full = data.length > 0;
      event = '';
      data = [];
      return full ? complete : undefined;
    }
    const colon = line.indexOf(':');
    const field = colon === -1 ? line : line.slice(0, colon);
    const value = colon === -1 ? '' : line.slice(colon + 1).replace(/^ /, '');
    if (field === 'event') event = value;
    if (field === 'data') data.push(value);
    if (field === 'id' && !value.includes('\0')) lastEventId = value;
    return undefined;
  };

  return (chunk) => {
    const text = rest + chunk;
    // A CR at the very end may be half of a CR LF: it waits for the next chunk.
    const whole = text.endsWith('\r') ? text.slice(0, -1) : text;
    const lines = whole.split(/\r\n|\n|\r/);
    rest = (lines.pop() ?? '') + text.slice(whole.length);
    return lines.flatMap((line) => take(line) ?? []);
  };
}

const firstDelayMs = 500;
const delayMsMax = 30_000;

/** How long to wait before the next attempt: doubling, with half of it by dice (0 to 1). */
export function reconnectDelayMs(failures: number, dice: number): number {
  const full = Math.min(delayMsMax, firstDelayMs * 2 ** failures);
  return full / 2 + (full / 2) * dice;
}
