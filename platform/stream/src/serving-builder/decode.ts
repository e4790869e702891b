import type { BuildingRecord } from '@domicile/core/building.ts';
import type { CountryCode } from '@domicile/core/countries.ts';
import { isBuildingId } from '@domicile/core/identities.ts';
import { isResident } from '@domicile/core/residency.ts';
import { isLevel, type SummaryRecord } from '@domicile/core/summary.ts';

type Fields = Readonly<Record<string, unknown>>;

function fieldsOf(bytes: Uint8Array | null): Fields | undefined {
  if (bytes === null) return undefined;
  try {
    const value: unknown = JSON.parse(new TextDecoder().decode(bytes));
    return isFields(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isHome(country: CountryCode, building: unknown): building is string {
  return typeof building === 'string' && isBuildingId(building) && isResident(country, building);
}

/** Undefined for what is no summary of this country. */
export function decodeSummary(
  country: CountryCode,
  bytes: Uint8Array | null,
): SummaryRecord | undefined {
  const fields = fieldsOf(bytes);
  return fields && isSummary(fields) && isHome(country, fields.building) ? fields : undefined;
}

function isSummary(fields: Fields): fields is Fields & SummaryRecord {
  const { building, windowStartMs, level, id, kind, revision, final, offset, metrics } = fields;
  return (
    typeof building === 'string' &&
    Number.isSafeInteger(windowStartMs) &&
    typeof level === 'string' &&
    isLevel(level) &&
    typeof id === 'string' &&
    (kind === 'window' || kind === 'partial') &&
    Number.isSafeInteger(revision) &&
    typeof final === 'boolean' &&
    Number.isSafeInteger(offset) &&
    isFields(metrics) &&
    Object.values(metrics).every(isMetric)
  );
}

function isMetric(value: unknown): boolean {
  return (
    isFields(value) &&
    typeof value['unit'] === 'string' &&
    Array.isArray(value['aggregate']) &&
    value['aggregate'].length === 6
  );
}

/** The zone of a building's days; undefined for what is no building of this country. */
export function decodeZone(
  country: CountryCode,
  bytes: Uint8Array | null,
): Pick<BuildingRecord, 'id' | 'timeZone'> | undefined {
  const fields = fieldsOf(bytes);
  const { id, timeZone } = fields ?? {};
  return isHome(country, id) && typeof timeZone === 'string' ? { id, timeZone } : undefined;
}
