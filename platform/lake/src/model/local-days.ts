/** Windows begin on quarters of an hour in every zone: all offsets in use are multiples of it. */
export const quarterMs = 900_000;
const dayMs = 86_400_000;

export interface TimeWindow {
  readonly startMs: number;
  /** Not included. */
  readonly endMs: number;
}

const formats = new Map<string, Intl.DateTimeFormat>();

function dateIn(zone: string, timeMs: number): string {
  let format = formats.get(zone);
  if (format === undefined) {
    const parts = { year: 'numeric', month: '2-digit', day: '2-digit' } as const;
    format = new Intl.DateTimeFormat('en-CA', { timeZone: zone, ...parts });
    formats.set(zone, format);
  }
  return format.format(timeMs);
}

const daysKept = 10_000;
/** By zone and UTC day, which two or three local days share. */
const known = new Map<string, TimeWindow[]>();

/** The day of a zone (IANA name) that holds `timeMs`: 24 hours, or 23 or 25 where clocks change. */
export function localDay(zone: string, timeMs: number): TimeWindow {
  const key = `${zone} ${Math.floor(timeMs / dayMs)}`;
  const sharing = known.get(key) ?? [];
  const found = sharing.find(({ startMs, endMs }) => startMs <= timeMs && timeMs < endMs);
  if (found) return found;
  const day = findDay(zone, timeMs);
  if (known.size > daysKept) known.clear();
  known.set(key, [...sharing, day]);
  return day;
}

function findDay(zone: string, timeMs: number): TimeWindow {
  const startMs = dayStart(zone, timeMs);
  // Longer than any day, shorter than two: inside the next one.
  return { startMs, endMs: dayStart(zone, startMs + 30 * 3_600_000) };
}

/** The first quarter of the date that `timeMs` has there. */
function dayStart(zone: string, timeMs: number): number {
  const date = dateIn(zone, timeMs);
  let before = Math.floor(timeMs / quarterMs) - 27 * 4;
  let within = Math.floor(timeMs / quarterMs);
  while (within - before > 1) {
    const middle = Math.floor((before + within) / 2);
    if (dateIn(zone, middle * quarterMs) === date) within = middle;
    else before = middle;
  }
  return within * quarterMs;
}
