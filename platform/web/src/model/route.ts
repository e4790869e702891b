import {
  isInterval,
  isLevel,
  isRangeName,
  type Interval,
  type Level,
  type RangeName,
} from './window.ts';

/** What the chart shows. Everything is in the address, so a view can be kept and passed on. */
export interface View {
  readonly level: Level;
  /** The floor, room or device; undefined for the first one. */
  readonly of: string | undefined;
  readonly metric: string | undefined;
  readonly range: RangeName;
  /** Undefined: chosen by the range. */
  readonly interval: Interval | undefined;
  /** The end of the range in milliseconds since 1970; undefined is now, and the chart follows. */
  readonly until: number | undefined;
}

export type Route =
  | { readonly page: 'buildings' }
  | { readonly page: 'callback' }
  | { readonly page: 'building'; readonly id: string; readonly view: View }
  | { readonly page: 'unknown' };

export const defaultView: View = {
  level: 'room',
  of: undefined,
  metric: undefined,
  range: '3h',
  interval: undefined,
  until: undefined,
};

const buildingPath = /^\/buildings\/([a-z]{2}-[a-z0-9-]{1,60})\/?$/;

/** An address as a route. What cannot be read in the query falls back to the default, one by one. */
export function parseRoute(pathname: string, search: string): Route {
  if (pathname === '/' || pathname === '/buildings') return { page: 'buildings' };
  if (pathname === '/callback') return { page: 'callback' };
  const id = buildingPath.exec(pathname)?.[1];
  return id === undefined ? { page: 'unknown' } : { page: 'building', id, view: parseView(search) };
}

function parseView(search: string): View {
  const query = new URLSearchParams(search);
  const level = query.get('level') ?? '';
  const range = query.get('range') ?? '';
  const interval = query.get('interval') ?? '';
  const until = Date.parse(query.get('until') ?? '');
  return {
    level: isLevel(level) ? level : defaultView.level,
    of: query.get('of') ?? undefined,
    metric: query.get('metric') ?? undefined,
    range: isRangeName(range) ? range : defaultView.range,
    interval: isInterval(interval) ? interval : undefined,
    until: Number.isNaN(until) ? undefined : until,
  };
}

export function pathOfBuilding(id: string, view: View = defaultView): string {
  const query = new URLSearchParams();
  if (view.level !== defaultView.level) query.set('level', view.level);
  if (view.of !== undefined) query.set('of', view.of);
  if (view.metric !== undefined) query.set('metric', view.metric);
  if (view.range !== defaultView.range) query.set('range', view.range);
  if (view.interval !== undefined) query.set('interval', view.interval);
  if (view.until !== undefined) query.set('until', new Date(view.until).toISOString());
  return `/buildings/${id}${query.size > 0 ? `?${query}` : ''}`;
}
