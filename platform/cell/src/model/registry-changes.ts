import type { BuildingRecord } from '@domicile/core/building.ts';
import { type Fault, PlatformError } from '@domicile/core/errors.ts';

/** What has to be written so that the registry says what is declared. */
export interface RegistryChanges {
  readonly records: readonly BuildingRecord[];
  /** Buildings that had no record before. */
  readonly added: readonly string[];
  readonly changed: readonly string[];
  /** No longer declared: refused to gateways from now on, still readable. */
  readonly offboarded: readonly string[];
}

/**
 * Compares what is declared with what the registry says. `client` and `country` never change: a sale is a new building.
 * Throws `CONFLICT` with every fault.
 */
export function registryChanges(
  declared: readonly BuildingRecord[],
  present: ReadonlyMap<string, BuildingRecord>,
): RegistryChanges {
  const faults = declared.flatMap((record): Fault[] => {
    const before = present.get(record.id);
    return before === undefined || before.client === record.client
      ? []
      : [
          {
            pointer: `/buildings/${record.id}/client`,
            detail: 'never changes; declare a new building',
          },
        ];
  });
  if (faults.length > 0) {
    const told = faults.map(({ pointer, detail }) => `${pointer}: ${detail}`).join('; ');
    throw new PlatformError('CONFLICT', `Cannot change the registry: ${told}`, { faults });
  }
  const records: BuildingRecord[] = [];
  const added: string[] = [];
  const changed: string[] = [];
  for (const record of declared) {
    const before = present.get(record.id);
    const wanted = { ...record, passwordHash: record.passwordHash ?? before?.passwordHash ?? null };
    if (before !== undefined && JSON.stringify(before) === JSON.stringify(wanted)) continue;
    records.push(wanted);
    (before === undefined ? added : changed).push(record.id);
  }
  const names = new Set(declared.map(({ id }) => id));
  const gone = [...present.values()].filter(
    ({ id, state }) => state === 'active' && !names.has(id),
  );
  for (const record of gone) records.push({ ...record, state: 'offboarded' });
  return { records, added, changed, offboarded: gone.map(({ id }) => id) };
}
