/** Times as people read them, always in a building's own zone. Pure: `now` is an argument. */

const language = 'en-GB';
const formats = new Map<string, Intl.DateTimeFormat>();

function formatOf(zone: string, options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
  const key = `${zone} ${JSON.stringify(options)}`;
  const known = formats.get(key);
  if (known) return known;
  const made = new Intl.DateTimeFormat(language, { timeZone: zone, ...options });
  formats.set(key, made);
  return made;
}

/** `14:05` */
export function clockTime(ms: number, zone: string): string {
  return formatOf(zone, { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' }).format(ms);
}

/** `14:05:07` */
export function clockSeconds(ms: number, zone: string): string {
  return formatOf(zone, {
    hour: '2-digit',
    minute: '2-digit',
    second: '2-digit',
    hourCycle: 'h23',
  }).format(ms);
}

/** `Tue 24 Nov` */
export function shortDay(ms: number, zone: string): string {
  return formatOf(zone, { weekday: 'short', day: 'numeric', month: 'short' }).format(ms);
}

/** `Tue 24 Nov, 14:05` */
export function dayAndTime(ms: number, zone: string): string {
  return `${shortDay(ms, zone)}, ${clockTime(ms, zone)}`;
}

/** `Berlin time, GMT+1` */
export function zoneName(zone: string, ms: number): string {
  const parts = formatOf(zone, { timeZoneName: 'shortOffset' }).formatToParts(ms);
  const offset = parts.find(({ type }) => type === 'timeZoneName')?.value ?? '';
  const city = zone.split('/').at(-1)?.replaceAll('_', ' ') ?? zone;
  return `${city} time, ${offset}`;
}

/** `now`, `3 s ago`, `14 min ago`, `2 h ago`, `5 days ago`; a little in the future counts as now. */
export function ago(ms: number, now: number): string {
  const seconds = Math.floor((now - ms) / 1000);
  if (seconds < 1) return 'now';
  if (seconds < 60) return `${seconds} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 2 * 86_400) return `${Math.floor(seconds / 3600)} h ago`;
  return `${Math.floor(seconds / 86_400)} days ago`;
}

/** `10 s`, `5 min`, `1 h` */
export function duration(ms: number): string {
  if (ms < 60_000) return `${Math.round(ms / 1000)} s`;
  if (ms < 3_600_000) return `${Math.round(ms / 60_000)} min`;
  return `${Math.round(ms / 3_600_000)} h`;
}

/** The instant at which the day of `ms` began in a zone: its first one, if midnight comes twice or never. */
export function startOfDay(ms: number, zone: string): number {
  const day = dayOf(ms, zone);
  // Days are at most 25 hours long, and zones differ from UTC by whole minutes.
  let low = Math.floor(ms / 60_000) - 26 * 60;
  let high = Math.floor(ms / 60_000);
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (dayOf(middle * 60_000, zone) === day) high = middle;
    else low = middle;
  }
  return high * 60_000;
}

function dayOf(ms: number, zone: string): string {
  return formatOf(zone, { year: 'numeric', month: '2-digit', day: '2-digit' }).format(ms);
}
