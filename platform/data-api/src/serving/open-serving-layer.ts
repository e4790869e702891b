import { LandedCountsReader } from '@domicile/lake/landed-counts.ts';
import type { ObjectStore } from '@domicile/lake/object-store.ts';
import { SummarySnapshots } from '@domicile/lake/serving-summaries.ts';
import type { ServingLayer } from './serving-layer.ts';

/** Opens the serving layer of a store at its newest snapshot. */
export async function openServingLayer(store: ObjectStore): Promise<ServingLayer> {
  const counts = new LandedCountsReader(store);
  const snapshots = await SummarySnapshots.open(store);
  return {
    get current() {
      return snapshots.current;
    },
    refresh: () => snapshots.refresh(),
    landed: (of) => counts.read(of),
  };
}
