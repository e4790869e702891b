import type { BuildingQuotas } from '@domicile/core/building.ts';
import type { CountryCode } from '@domicile/core/countries.ts';
import { type BuildingId, isBuildingId } from '@domicile/core/identities.ts';
import { isResident } from '@domicile/core/residency.ts';
import { z } from 'zod';

/** What the broker needs of a building's record. */
export interface RegisteredBuilding {
  readonly id: BuildingId;
  readonly active: boolean;
  readonly passwordHash: string | null;
  /** What is absent is the broker's own limit. */
  readonly quotas: BuildingQuotas;
  /** Where its record stands in its partition of the registry. */
  readonly offset: string;
}

const quota = z.number().positive();

const recordSchema = z.object({
  id: z.string(),
  country: z.string(),
  state: z.enum(['active', 'offboarded']),
  passwordHash: z.string().nullable(),
  // A quota that cannot be read limits nobody else: then the broker's own limits hold.
  quotas: z
    .object({
      messagesPerSecond: quota.optional(),
      bytesPerSecond: quota.optional(),
      connections: quota.optional(),
    })
    .catch({})
    .default({}),
});

export type RegistryChange = 'changed' | 'removed' | 'unreadable';

/** The buildings of this country as last declared. */
export class RegistryView {
  readonly #country: CountryCode;
  readonly #buildings = new Map<string, RegisteredBuilding>();

  constructor(country: CountryCode) {
    this.#country = country;
  }

  get size(): number {
    return this.#buildings.size;
  }

  /** An active building; one that is offboarded or unknown is the same to a gateway. */
  active(building: string): RegisteredBuilding | undefined {
    const found = this.#buildings.get(building);
    return found?.active ? found : undefined;
  }

  /** An unreadable record is not believed, and what was known before still holds. */
  note(key: string, value: Buffer | null, offset: bigint): RegistryChange {
    if (value === null) {
      this.#buildings.delete(key);
      return 'removed';
    }
    const read = recordSchema.safeParse(jsonOf(value));
    const resident =
      isBuildingId(key) &&
      isResident(this.#country, key) &&
      read.data?.id === key &&
      read.data.country === this.#country;
    if (!read.success || !resident) return 'unreadable';
    const { state, passwordHash, quotas } = read.data;
    this.#buildings.set(key, {
      id: key,
      active: state === 'active',
      passwordHash,
      quotas,
      offset: `${offset}`,
    });
    return 'changed';
  }
}

function jsonOf(value: Buffer): unknown {
  try {
    return JSON.parse(value.toString('utf8'));
  } catch {
    return undefined;
  }
}
