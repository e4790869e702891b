import { checkpointFolder, checkpointsOf } from '../model/checkpoint-key.ts';
import { erasurePointerKey, parseErasurePointer } from '../model/erasure-pointer.ts';
import type { LandedStream } from '../model/landing-key.ts';
import { type ErasureRun, keysBelow, removeObject } from './erasure-run.ts';

/**
 * Removes the copies of manifests that were made before the last erasure from this partition was told. Nobody reads them any
 * more; one that a slow lander leaves there afterwards is removed by the next pass.
 */
export async function retireCheckpoints(run: ErasureRun, stream: LandedStream): Promise<void> {
  const { landing, partition, signal } = run;
  const { erasures } = parseErasurePointer(await landing.get(erasurePointerKey(stream)));
  const place = { stream, partition };
  const current = checkpointFolder({ ...place, erasures: erasures[`${partition}`] ?? 0 });
  for await (const key of keysBelow(landing, checkpointsOf(place))) {
    signal.throwIfAborted();
    if (!key.startsWith(current)) await removeObject(landing, key);
  }
}
