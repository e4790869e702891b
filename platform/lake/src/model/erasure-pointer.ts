import { z } from 'zod';
import type { LandedStream } from './landing-key.ts';

/** Told after manifests were replaced, so that readers who keep them read them again. */
const pointerSchema = z.object({
  /** Partition → how often buildings were erased from it. */
  erasures: z.record(z.string().regex(/^\d+$/), z.number().int().min(0)),
});

export type ErasurePointer = z.output<typeof pointerSchema>;

export function erasurePointerKey(stream: LandedStream): string {
  return `landing/${stream}/v1/_erasures/latest.json`;
}

/** No erasures, for what cannot be read: readers then keep what they have. */
export function parseErasurePointer(content: Buffer | undefined): ErasurePointer {
  try {
    return pointerSchema.parse(JSON.parse(content?.toString() ?? ''));
  } catch {
    return { erasures: {} };
  }
}
