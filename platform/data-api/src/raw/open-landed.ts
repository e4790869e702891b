import type { LandedManifestsView } from '@domicile/lake/landed-manifests.ts';
import type { ObjectStore } from '@domicile/lake/object-store.ts';

/** The manifests of the landing zone of a store. */
export function openLanded(_store: ObjectStore): Promise<LandedManifestsView> {
  return Promise.resolve({
    offsets: new Map(),
    files: () => [],
    refresh: () => Promise.resolve(),
  });
}
