import { PlatformError } from '@domicile/core/errors.ts';
import { LandedCountsReader } from '@domicile/lake/landed-counts.ts';
import type { ObjectStore } from '@domicile/lake/object-store.ts';
import { SummarySnapshots } from '@domicile/lake/serving-summaries.ts';
import type { ServingLayer } from './serving-layer.ts';

export interface ClosedServingLayer extends ServingLayer {
  /** Reads the newest snapshot. Until then nothing of it is answered. Throws as the store does, and may be tried again. */
  open(): Promise<void>;
}

/** The serving layer of a store that need not answer yet. */
export function servingLayerOf(store: ObjectStore): ClosedServingLayer {
  const counts = new LandedCountsReader(store);
  let opened: SummarySnapshots | undefined;
  const snapshots = (): SummarySnapshots => {
    if (opened) return opened;
    throw new PlatformError(
      'UPSTREAM_UNAVAILABLE',
      'Cannot answer yet: the serving layer has not been read',
    );
  };
  return {
    get current() {
      return snapshots().current;
    },
    refresh: () => snapshots().refresh(),
    landed: (of) => counts.read(of),
    async open() {
      opened ??= await SummarySnapshots.open(store);
    },
  };
}

/** Opens the serving layer of a store at its newest snapshot. */
export async function openServingLayer(store: ObjectStore): Promise<ServingLayer> {
  const layer = servingLayerOf(store);
  await layer.open();
  return layer;
}
