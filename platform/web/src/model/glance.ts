import type { DeviceRow, LatestRow } from './answers.ts';
import { byImportance, isState, metricTitle, valueFigure, type Figure } from './figures.ts';
import { numberOf } from './latest.ts';

/** A building at a glance: what its rooms say now, in a few figures. */
export interface GlanceFigure {
  readonly title: string;
  readonly figure: Figure;
}

const figuresMax = 4;

/**
 * The average over the devices that are heard, metric by metric, the most important first; of what is either or, in how many
 * rooms it is so. Values of silent devices are old and left out.
 */
export function glanceFigures(
  rows: readonly LatestRow[],
  devices: readonly DeviceRow[],
): GlanceFigure[] {
  const heard = new Set(
    devices.filter(({ state }) => state === 'seen').map(({ device }) => device),
  );
  const fresh = rows.filter(({ device }) => heard.has(device));
  const byMetric = Map.groupBy(fresh, ({ metric }) => metric);
  return [...byMetric]
    .toSorted(([a], [b]) => byImportance(a, b))
    .flatMap(([metric, points]) => glanceFigure(metric, points))
    .slice(0, figuresMax);
}

function glanceFigure(metric: string, points: readonly LatestRow[]): GlanceFigure[] {
  const numbers = points.flatMap(({ value }) => numberOf(value));
  if (numbers.length === 0) return [];
  const title = metricTitle(metric);
  if (isState(metric)) {
    const rooms = new Set(points.flatMap(({ room, value }) => (isOn(value) ? [room] : [])));
    const all = new Set(points.map(({ room }) => room));
    return [{ title, figure: { text: `${rooms.size} of ${all.size}`, sign: 'rooms' } }];
  }
  const sum = numbers.reduce((total, number) => total + number, 0);
  return [{ title, figure: valueFigure(sum / numbers.length, metric, points[0]?.unit ?? null) }];
}

function isOn(value: LatestRow['value']): boolean {
  return value === true || value === 1;
}
