import type { CountryCode } from '@domicile/core/countries.ts';
import { isBuildingId } from '@domicile/core/identities.ts';
import { type QuarantineEntry, quarantineReasons } from '@domicile/core/quarantine.ts';
import type { Reading } from '@domicile/core/reading.ts';
import { isResident } from '@domicile/core/residency.ts';

/** Why a record of the stream is not landed: it cannot be read, or is of another country. */
export type Refusal = 'unreadable' | 'foreign';

type Fields = Readonly<Record<string, unknown>>;

function fieldsOf(bytes: Buffer | null): Fields | undefined {
  if (bytes === null) return undefined;
  try {
    const value: unknown = JSON.parse(bytes.toString());
    return isFields(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function decodeReading(country: CountryCode, bytes: Buffer | null): Reading | Refusal {
  const fields = fieldsOf(bytes);
  if (fields === undefined || !isReading(fields)) return 'unreadable';
  return isHome(country, fields.building) ? fields : 'foreign';
}

export function decodeQuarantined(
  country: CountryCode,
  bytes: Buffer | null,
): QuarantineEntry | Refusal {
  const fields = fieldsOf(bytes);
  if (fields === undefined || !isQuarantineEntry(fields)) return 'unreadable';
  return isHome(country, fields.building) ? fields : 'foreign';
}

function isHome(country: CountryCode, building: string): boolean {
  return isBuildingId(building) && isResident(country, building);
}

const isText = (value: unknown): value is string => typeof value === 'string';
const isWhole = (value: unknown): value is number => Number.isSafeInteger(value);
const isTimeMs = (value: unknown): boolean => isWhole(value) && Math.abs(value) <= 8.64e15;
const isNumbered = ({ boot, seq }: Fields): boolean =>
  (boot === null && seq === null) || (isText(boot) && isWhole(seq));

function isReading(fields: Fields): fields is Fields & Reading {
  return (
    ['building', 'floor', 'room', 'device'].every((name) => isText(fields[name])) &&
    isTimeMs(fields['measuredAtMs']) &&
    isTimeMs(fields['receivedAtMs']) &&
    isNumbered(fields) &&
    ['device', 'gateway', 'cell'].some((source) => source === fields['timeSource']) &&
    isFields(fields['values']) &&
    Object.values(fields['values']).every(isMetricValue) &&
    isFields(fields['units'])
  );
}

function isMetricValue(value: unknown): boolean {
  return typeof value === 'number' || typeof value === 'boolean' || typeof value === 'string';
}

function isQuarantineEntry(fields: Fields): fields is Fields & QuarantineEntry {
  const texts = ['building', 'device', 'stream', 'pointer', 'detail', 'bytes'];
  return (
    texts.every((name) => isText(fields[name])) &&
    isText(fields['reason']) &&
    Object.hasOwn(quarantineReasons, fields['reason']) &&
    ['partition', 'offset'].every((name) => isWhole(fields[name])) &&
    isTimeMs(fields['receivedAtMs']) &&
    isNumbered(fields)
  );
}
