const clock = /^(\d{4})-(\d{2})-(\d{2})[T ](\d{2}):(\d{2}):(\d{2})(?:\.(\d{1,3})\d*)?$/;

/**
 * Milliseconds of a time without offset, as a clock on the wall of `zone` (IANA) shows it. Of an hour that comes twice the first is
 * meant, of one that is left out the time an hour later. Undefined for what is no such time.
 */
export function localTimeMs(text: string, zone: string): number | undefined {
  const match = clock.exec(text);
  if (!match) return undefined;
  const [year, month, day, hour, minute, second] = match.slice(1, 7).map(Number);
  const ms = Number((match[7] ?? '').padEnd(3, '0'));
  const wallMs = Date.UTC(year ?? 0, (month ?? 1) - 1, day, hour, minute, second, ms);
  if (!Number.isFinite(wallMs)) return undefined;
  const before = offsetMs(wallMs - 86_400_000, zone);
  const after = offsetMs(wallMs + 86_400_000, zone);
  const early = wallMs - Math.max(before, after);
  if (early + offsetMs(early, zone) === wallMs) return early;
  const late = wallMs - Math.min(before, after);
  if (late + offsetMs(late, zone) === wallMs) return late;
  return wallMs - before;
}

const formats = new Map<string, Intl.DateTimeFormat>();

/** How far clocks in `zone` are ahead of UTC, in milliseconds. */
export function offsetMs(atMs: number, zone: string): number {
  const format =
    formats.get(zone) ??
    new Intl.DateTimeFormat('en-US', { timeZone: zone, timeZoneName: 'longOffset' });
  formats.set(zone, format);
  const name = format.formatToParts(atMs).find(({ type }) => type === 'timeZoneName')?.value ?? '';
  const match = /^GMT([+-])(\d{2}):(\d{2})(?::(\d{2}))?$/.exec(name);
  if (!match) return 0;
  const [, sign, hours, minutes, seconds = '0'] = match;
  const size = (Number(hours) * 3600 + Number(minutes) * 60 + Number(seconds)) * 1000;
  return sign === '-' ? -size : size;
}

export function isZone(zone: string): boolean {
  try {
    return new Intl.DateTimeFormat('en', { timeZone: zone }).resolvedOptions().timeZone !== '';
  } catch {
    return false;
  }
}
