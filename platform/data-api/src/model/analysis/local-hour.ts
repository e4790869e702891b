import type { DayType } from '@domicile/core/answers/analysis.ts';
import type { CountryCode } from '@domicile/core/countries.ts';

export interface LocalHour {
  readonly dayType: DayType;
  /** 0 to 23, of the zone's clock. */
  readonly hour: number;
}

const weekdays = ['Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat', 'Sun'];

/**
 * Tells the hour and the kind of day of a building's clock. The weekend is the country's, as CLDR has it; holidays are
 * workdays here.
 */
export function localHours(timeZone: string, country: CountryCode): (ms: number) => LocalHour {
  const format = new Intl.DateTimeFormat('en', {
    timeZone,
    hourCycle: 'h23',
    hour: '2-digit',
    weekday: 'short',
  });
  const weekend = new Set(weekendOf(country));
  return (ms) => {
    let hour = 0;
    let weekday = '';
    for (const { type, value } of format.formatToParts(ms)) {
      if (type === 'hour') hour = Number(value);
      if (type === 'weekday') weekday = value;
    }
    const dayType = weekend.has(weekdays.indexOf(weekday) + 1) ? 'weekend' : 'workday';
    return { dayType, hour };
  };
}

const saturday = 6;
const sunday = 7;

/** 1 is Monday. */
function weekendOf(country: CountryCode): readonly number[] {
  const locale: Intl.Locale & { getWeekInfo?: () => { weekend: number[] } } = new Intl.Locale(
    `und-${country}`,
  );
  return locale.getWeekInfo?.().weekend ?? [saturday, sunday];
}
