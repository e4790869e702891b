import { startOfDay } from './time.ts';

export type AccountPeriod = 'today' | '24h' | '7d';

export const accountPeriods: readonly { value: AccountPeriod; label: string }[] = [
  { value: 'today', label: 'Today' },
  { value: '24h', label: '24 hours' },
  { value: '7d', label: '7 days' },
];

const hourMs = 3_600_000;

/** Milliseconds since 1970, half open; today is the building's day. */
export function accountSpan(
  period: AccountPeriod,
  now: number,
  zone: string,
): { from: number; to: number } {
  const minute = Math.floor(now / 60_000) * 60_000 + 60_000;
  if (period === 'today') return { from: startOfDay(now, zone), to: minute };
  return { from: minute - (period === '24h' ? 24 : 7 * 24) * hourMs, to: minute };
}
