import { between, chance } from './chance.ts';

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;

/** A room of the simulated building: everything follows from these. */
export interface SimulatedRoom {
  readonly seed: number;
  readonly id: string;
  /** How far local time is ahead of UTC at a time, in milliseconds. */
  readonly offsetMsAt: (atMs: number) => number;
}

/** People are there from `fromMs` until `toMs`, Unix milliseconds. */
interface Stay {
  readonly fromMs: number;
  readonly toMs: number;
  /** CO₂ that they would add in the end, in ppm. */
  readonly co2: number;
}

/**
 * The stays of one local day, numbered since 1970. Their shape is that of the recorded office in examples/occupancy: first in between 7:36
 * and 9:10, out for an hour around 13:00, last out around 18:05; on some days nobody comes, at weekends hardly ever.
 */
export function staysOf(room: SimulatedRoom, localDay: number): Stay[] {
  const { seed, id, offsetMsAt } = room;
  const lot = (what: string) => chance(seed, id, localDay, what);
  const weekday = (localDay + 4) % 7;
  const isWeekend = weekday === 0 || weekday === 6;
  if (lot('used') > (isWeekend ? 0.04 : 0.9)) return [];
  const midnightMs = localDay * dayMs - offsetMsAt(localDay * dayMs + dayMs / 2);
  const at = (hours: number) => midnightMs + Math.round(hours * hourMs);
  const inHour = between(7.6, 9.2, lot('in'));
  const outHour = between(17.6, 18.4, lot('out'));
  const lunchHour = between(12.4, 13.2, lot('lunch'));
  const backHour = lunchHour + between(0.5, 1, lot('back'));
  const meetingHour = between(9.6, 11.5, lot('meeting'));
  const isAway = lot('away') < 0.4;
  const co2 = between(350, 750, lot('people'));
  const stay = (from: number, to: number): Stay => ({ fromMs: at(from), toMs: at(to), co2 });
  const morning = isAway
    ? [stay(inHour, meetingHour), stay(meetingHour + 0.7, lunchHour)]
    : [stay(inHour, lunchHour)];
  return [...morning, stay(backHour, outHour)];
}

export function localDayOf(room: SimulatedRoom, atMs: number): number {
  return Math.floor((atMs + room.offsetMsAt(atMs)) / dayMs);
}

/** What is true of a room at one instant. */
export interface RoomState {
  readonly isOccupied: boolean;
  /** Somebody came or went within the last tick. */
  readonly hasChanged: boolean;
  readonly co2: number;
  /** Without any heating that a command asked for. */
  readonly temperature: number;
  readonly humidity: number;
  readonly illuminance: number;
  /** Local time as a share of the day. */
  readonly dayShare: number;
}

/** CO₂ of a used room comes and goes within hours, as recorded. */
const airMs = 1.5 * hourMs;
/** Walls take longer. */
const wallMs = 3 * hourMs;

/** A pure function of the time: no step has to be calculated before it. */
export function roomAt(room: SimulatedRoom, atMs: number, tickMs: number): RoomState {
  const day = localDayOf(room, atMs);
  const stays = [...staysOf(room, day - 1), ...staysOf(room, day)];
  const isOccupied = stays.some(({ fromMs, toMs }) => fromMs <= atMs && atMs < toMs);
  const hasChanged = stays.some(
    ({ fromMs, toMs }) => isWithin(fromMs, atMs, tickMs) || isWithin(toMs, atMs, tickMs),
  );
  const localMs = atMs + room.offsetMsAt(atMs);
  const dayShare = (((localMs % dayMs) + dayMs) % dayMs) / dayMs;
  const people = sumOf(stays, atMs, airMs);
  const warmth = sumOf(stays, atMs, wallMs) / 550;
  const daylight = daylightAt(room, day, dayShare);
  const weather = chance(room.seed, 'weather', day);
  return {
    isOccupied,
    hasChanged,
    co2: 430 + people + between(0, 60, chance(room.seed, room.id, 'air')),
    temperature:
      20.2 +
      2.2 * warmth +
      daylight / 600 +
      between(-0.6, 0.6, chance(room.seed, room.id, 'walls')),
    humidity: between(25, 45, weather) + people / 120 - 1.2 * warmth,
    illuminance: daylight + (isOccupied ? 400 : 0),
    dayShare,
  };
}

function isWithin(eventMs: number, atMs: number, tickMs: number): boolean {
  return eventMs <= atMs && atMs < eventMs + tickMs;
}

/** What stays have added by now: it rises towards its end while they last, and falls after. */
function sumOf(stays: readonly Stay[], atMs: number, paceMs: number): number {
  let sum = 0;
  for (const { fromMs, toMs, co2 } of stays) {
    if (atMs <= fromMs) continue;
    const risen = co2 * (1 - Math.exp(-(Math.min(atMs, toMs) - fromMs) / paceMs));
    sum += atMs <= toMs ? risen : risen * Math.exp(-(atMs - toMs) / paceMs);
  }
  return sum;
}

/** Lux at a window: days between 8 and 16 hours, clouds by the day. */
function daylightAt({ seed }: SimulatedRoom, day: number, dayShare: number): number {
  const season = Math.cos(((day - 172) / 365.25) * 2 * Math.PI);
  const halfDay = (12 + 4 * season) / 48;
  const height = Math.cos(((dayShare - 0.5) / halfDay) * (Math.PI / 2));
  if (Math.abs(dayShare - 0.5) >= halfDay || height <= 0) return 0;
  return between(60, 420, chance(seed, 'clouds', day)) * height;
}
