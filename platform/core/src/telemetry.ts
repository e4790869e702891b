import { isBootId, isMetricName } from './identities.ts';
import type { QuarantineReason } from './quarantine.ts';

/** docs/api/mqtt.md. */
export const readingsPerPayloadMax = 1000;
export const textValueLengthMax = 256;
export const payloadBytesMax = 262_144;

export type MetricValue = number | boolean | string;

/** One reading as a device sent it: syntax is checked, its device type is not known yet. */
export interface SentReading {
  /** RFC 6901 pointer of the reading in its payload; empty if it is the payload. */
  readonly pointer: string;
  readonly boot: string | null;
  readonly seq: number | null;
  /** Unix milliseconds (finer digits are cut); null when the sender told none. */
  readonly atMs: number | null;
  readonly values: readonly (readonly [metric: string, value: MetricValue])[];
  /** As a gateway with a better clock marked it: the time that the device itself told. */
  readonly timeSource: 'device' | 'gateway';
}

/** What of a payload is not taken in: a value, else a reading, else the payload. */
export interface PayloadFault {
  readonly pointer: string;
  readonly reason: QuarantineReason;
  readonly detail: string;
  /** The number of the reading that is lost with it; null when it has none or goes on without the value. */
  readonly number: { readonly boot: string; readonly seq: number } | null;
  /** The name of the value, whole, if the unit is a value. */
  readonly metric?: string;
}

export interface ParsedPayload {
  readonly readings: readonly SentReading[];
  readonly faults: readonly PayloadFault[];
}

const decoder = new TextDecoder('utf-8', { fatal: true });

/** Reads a telemetry or backfill payload. Never throws; every fault is told at once. */
export function parseTelemetry(bytes: Uint8Array): ParsedPayload {
  if (bytes.length === 0) return whole('payload-empty', 'The payload has no bytes');
  let text: string;
  try {
    text = decoder.decode(bytes);
  } catch {
    return whole('not-utf8', 'The payload is not UTF-8');
  }
  let payload: unknown;
  try {
    payload = JSON.parse(text);
  } catch {
    return whole('not-json', 'The payload is not JSON');
  }
  const readings: SentReading[] = [];
  const faults: PayloadFault[] = [];
  if (!Array.isArray(payload)) {
    readInto({ readings, faults }, payload, '');
    return { readings, faults };
  }
  if (payload.length === 0) return whole('payload-empty', 'The array holds no reading');
  if (payload.length > readingsPerPayloadMax)
    return whole('too-many-readings', `The array holds ${payload.length} readings`);
  for (const [index, element] of payload.entries())
    readInto({ readings, faults }, element, `/${index}`);
  return { readings, faults };
}

function whole(reason: QuarantineReason, detail: string): ParsedPayload {
  return { readings: [], faults: [{ pointer: '', reason, detail, number: null }] };
}

interface Found {
  readonly readings: SentReading[];
  readonly faults: PayloadFault[];
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function readInto({ readings, faults }: Found, element: unknown, pointer: string): void {
  if (!isRecord(element)) {
    const detail = 'A reading must be a JSON object';
    faults.push({ pointer, reason: 'not-an-object', detail, number: null });
    return;
  }
  const number = numberOf(element);
  const known = typeof number === 'object' ? number : null;
  const refuse = (reason: QuarantineReason, detail: string): void => {
    faults.push({ pointer, reason, detail, number: known });
  };
  if (number === 'invalid') return refuse('numbering-invalid', '`boot` and `seq` cannot be read');
  const atMs = timeOf(element['at']);
  if (atMs === undefined) return refuse('time-invalid', '`at` cannot be read');
  const sent = element['values'];
  if (!isRecord(sent)) return refuse('values-missing', '`values` is no object');
  const entries = Object.entries(sent);
  if (entries.length === 0) return refuse('values-missing', '`values` is empty');

  const values: [string, MetricValue][] = [];
  const bad: PayloadFault[] = [];
  for (const [metric, value] of entries) {
    const reason = valueFault(metric, value);
    if (reason === undefined && isMetricValue(value)) values.push([metric, value]);
    else bad.push(faultOf(pointer, metric, reason));
  }
  // The number is lost only when nothing of the reading is left; the first fault then carries it.
  for (const [index, fault] of bad.entries())
    faults.push(values.length === 0 && index === 0 ? { ...fault, number: known } : fault);
  if (values.length === 0) return;
  readings.push({
    pointer,
    boot: known?.boot ?? null,
    seq: known?.seq ?? null,
    atMs,
    values,
    timeSource: element['timeSource'] === 'gateway' ? 'gateway' : 'device',
  });
}

function faultOf(
  reading: string,
  metric: string,
  reason: QuarantineReason = 'value-type-invalid',
): PayloadFault {
  const pointer = `${reading}/values/${escaped(metric)}`;
  return { pointer, reason, detail: valueDetails[reason] ?? '', number: null, metric };
}

const valueDetails: Partial<Record<QuarantineReason, string>> = {
  'metric-name-invalid': 'The metric name cannot be read',
  'value-not-finite': 'The number is not finite',
  'value-too-long': `The text has more than ${textValueLengthMax} characters`,
  'value-type-invalid': 'The value is neither number, boolean nor text',
};

function isMetricValue(value: unknown): value is MetricValue {
  return typeof value === 'number' || typeof value === 'boolean' || typeof value === 'string';
}

function valueFault(metric: string, value: unknown): QuarantineReason | undefined {
  if (!isMetricName(metric)) return 'metric-name-invalid';
  if (!isMetricValue(value)) return 'value-type-invalid';
  if (typeof value === 'number' && !Number.isFinite(value)) return 'value-not-finite';
  if (typeof value === 'string' && value.length > textValueLengthMax) return 'value-too-long';
  return undefined;
}

function numberOf(
  element: Record<string, unknown>,
): { boot: string; seq: number } | 'invalid' | undefined {
  const { boot = null, seq = null } = element;
  if (boot === null && seq === null) return undefined;
  if (typeof boot !== 'string' || !isBootId(boot)) return 'invalid';
  return typeof seq === 'number' && Number.isSafeInteger(seq) && seq >= 0
    ? { boot, seq: seq === 0 ? 0 : seq }
    : 'invalid';
}

const rfc3339 =
  /^(\d{4})-(\d{2})-(\d{2})[Tt]([01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.(\d+))?(?:[Zz]|[+-](?:[01]\d|2[0-3]):[0-5]\d)$/;

/** RFC 3339 with offset, to milliseconds; undefined for anything else, such as 30 February. */
export function parseTime(text: string): number | undefined {
  if (text.length > 64) return undefined;
  const match = rfc3339.exec(text);
  if (!match) return undefined;
  const [, year, month, day] = match.map(Number);
  if (month === undefined || day === undefined || year === undefined) return undefined;
  if (month < 1 || month > 12 || day < 1 || day > daysOf(year, month)) return undefined;
  const ms = Date.parse(text.toUpperCase());
  return Number.isNaN(ms) ? undefined : ms;
}

function daysOf(year: number, month: number): number {
  if (month === 2) return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : 28;
  return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31;
}

/** Null when absent, undefined when unreadable. */
function timeOf(value: unknown): number | null | undefined {
  if (value === undefined || value === null) return null;
  if (typeof value === 'number') return Math.abs(value) <= 8.64e15 ? Math.floor(value) : undefined;
  return typeof value === 'string' ? parseTime(value) : undefined;
}

function escaped(token: string): string {
  return token.slice(0, 80).replaceAll('~', '~0').replaceAll('/', '~1');
}
