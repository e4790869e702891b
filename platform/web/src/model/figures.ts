import { signOf } from '@domicile/core/units.ts';

/** Numbers, units and metric names in the words of people who run buildings. */

interface Named {
  readonly title: string;
  /** The words for 1 and 0, for metrics that are either or. */
  readonly states?: readonly [yes: string, no: string];
  /** What the average of such a metric is: the share of time in its first state. */
  readonly share?: string;
}

const named: Readonly<Record<string, Named>> = {
  temperature: { title: 'Temperature' },
  target_temperature: { title: 'Target temperature' },
  supply_temperature: { title: 'Supply air' },
  return_temperature: { title: 'Return air' },
  humidity: { title: 'Humidity' },
  co2: { title: 'CO₂' },
  illuminance: { title: 'Light' },
  occupied: { title: 'Occupancy', states: ['occupied', 'free'], share: 'of the time occupied' },
  open: { title: 'Door', states: ['open', 'closed'], share: 'of the time open' },
  heating: { title: 'Heating', states: ['on', 'off'], share: 'of the time on' },
  power: { title: 'Power' },
  energy: { title: 'Energy' },
  voltage: { title: 'Voltage' },
  level: { title: 'Noise' },
};

const order = Object.keys(named);
const digitsByUnit: Readonly<Record<string, number>> = {
  Cel: 1,
  '[degF]': 1,
  '%': 0,
  '[ppm]': 0,
  lx: 0,
  W: 0,
};
const formats = new Map<number, Intl.NumberFormat>();

export interface Figure {
  readonly text: string;
  /** The unit's sign, or empty. */
  readonly sign: string;
}

export function metricTitle(metric: string): string {
  const words = metric.replaceAll('_', ' ');
  return named[metric]?.title ?? words.charAt(0).toUpperCase() + words.slice(1);
}

/** The metric is either or: its averages are shares of time. */
export function isState(metric: string): boolean {
  return named[metric]?.states !== undefined;
}

export function shareWords(metric: string): string {
  return named[metric]?.share ?? '';
}

/** Temperature before doors, and what the catalogue does not know at the end, by name. */
export function byImportance(a: string, b: string): number {
  return rankOf(a) - rankOf(b) || a.localeCompare(b);
}

function rankOf(metric: string): number {
  return order.includes(metric) ? order.indexOf(metric) : order.length;
}

/** One measured value. */
export function valueFigure(
  value: number | boolean | string,
  metric: string,
  unit: string | null,
): Figure {
  const states = named[metric]?.states;
  if (typeof value === 'string') return { text: value, sign: '' };
  if (states && (value === true || value === 1)) return { text: states[0], sign: '' };
  if (states && (value === false || value === 0)) return { text: states[1], sign: '' };
  if (typeof value === 'boolean') return { text: value ? 'yes' : 'no', sign: '' };
  return { text: numberText(value, unit), sign: signOf(unit ?? '1') };
}

/** A figure of a summary; of either-or metrics it is a share of time. */
export function summaryFigure(value: number | null, metric: string, unit: string | null): Figure {
  if (value === null) return { text: '–', sign: '' };
  if (isState(metric)) return { text: numberText(value * 100, '%'), sign: '%' };
  return { text: numberText(value, unit), sign: signOf(unit ?? '1') };
}

/** Number and unit stay on one line. */
export function figureText({ text, sign }: Figure): string {
  return sign === '' ? text : `${text}\u00a0${sign}`;
}

/** `120,345` */
export function countText(count: number): string {
  return formatOf(0).format(count);
}

/** `1 reading`, `2 readings` */
export function counted(count: number, one: string, many = `${one}s`): string {
  return `${countText(count)} ${count === 1 ? one : many}`;
}

function numberText(value: number, unit: string | null): string {
  const usual = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2;
  const text = formatOf(digitsByUnit[unit ?? ''] ?? usual).format(value);
  return text === '-0' || text === '-0.0' ? text.slice(1) : text;
}

function formatOf(digits: number): Intl.NumberFormat {
  const known = formats.get(digits);
  if (known) return known;
  const made = new Intl.NumberFormat('en-GB', {
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  });
  formats.set(digits, made);
  return made;
}
