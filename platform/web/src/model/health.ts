import type { DeviceRow } from './answers.ts';
import { counted, countText } from './figures.ts';

export interface HealthWords {
  readonly verdict: 'complete' | 'incomplete';
  readonly headline: string;
}

export function healthWords(rows: readonly DeviceRow[]): HealthWords {
  const count = (state: DeviceRow['state']) => rows.filter((row) => row.state === state).length;
  const silent = count('silent');
  const never = count('never-seen');
  if (silent + never === 0)
    return {
      verdict: 'complete',
      headline:
        rows.length === 1
          ? 'The one device is heard.'
          : `All ${countText(rows.length)} devices are heard.`,
    };
  const parts = [
    ...(silent > 0 ? [`${countText(silent)} fell silent`] : []),
    ...(never > 0 ? [`${countText(never)} ${never === 1 ? 'was' : 'were'} never heard`] : []),
  ];
  return {
    verdict: 'incomplete',
    headline: `Of ${counted(rows.length, 'device')}, ${parts.join(' and ')}.`,
  };
}

const rank = { silent: 0, 'never-seen': 1, seen: 2 } as const;

/** Those that need a look first, then by name. */
export function devicesInOrder(rows: readonly DeviceRow[]): DeviceRow[] {
  return rows.toSorted((a, b) => rank[a.state] - rank[b.state] || a.device.localeCompare(b.device));
}
