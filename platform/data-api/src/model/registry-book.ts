import type { BuildingRecord } from '@domicile/core/building.ts';

/** The buildings of a cell, as declared now. */
export class RegistryBook {
  readonly #buildings = new Map<string, BuildingRecord>();

  take(record: BuildingRecord): void {
    this.#buildings.set(record.id, record);
  }

  /** A tombstone. */
  forget(id: string): void {
    this.#buildings.delete(id);
  }

  get(id: string): BuildingRecord | undefined {
    return this.#buildings.get(id);
  }

  all(): Iterable<BuildingRecord> {
    return this.#buildings.values();
  }
}
