import { setTimeout as sleep } from 'node:timers/promises';
import { PlatformError } from '@domicile/core/errors.ts';
import { z } from 'zod';
import { buildingKind, cellKind } from '../model/kinds.ts';
import type { Kube, KubeObject } from '../runtime/kube.ts';

const pollMs = 1_000;

const status = z.object({
  metadata: z.object({ generation: z.number().optional() }),
  status: z
    .object({
      conditions: z
        .array(
          z.looseObject({
            type: z.string(),
            status: z.string(),
            reason: z.string().default(''),
            message: z.string().default(''),
            observedGeneration: z.number().optional(),
          }),
        )
        .default([]),
    })
    .optional(),
});

/** Whether it is Ready, for the spec that it has now, and if not, what it waits for. */
export function readinessOf(object: KubeObject): {
  readonly isReady: boolean;
  readonly told: string;
} {
  const { metadata, status: of } = status.parse(object);
  const ready = of?.conditions.find(({ type }) => type === 'Ready');
  const name = `${object.kind} ${object.metadata.name}`;
  if (ready === undefined)
    return { isReady: false, told: `${name}: the operator has not looked at it yet` };
  const isStale =
    ready.observedGeneration !== undefined && ready.observedGeneration < (metadata.generation ?? 0);
  if (ready.status === 'True' && !isStale) return { isReady: true, told: `${name}: Ready` };
  const why = isStale ? 'the operator has not seen its last change yet' : ready.message;
  return { isReady: false, told: `${name}: ${ready.reason}: ${why}` };
}

export interface Readiness {
  readonly isReady: boolean;
  readonly told: readonly string[];
}

export async function cellReadiness(kube: Kube, name: string): Promise<Readiness> {
  const cell = await kube.get(cellKind, { name });
  if (cell === undefined) return { isReady: false, told: [`there is no Cell ${name}`] };
  const { isReady, told } = readinessOf(cell);
  return { isReady, told: [told] };
}

export interface BuildingsAsked {
  readonly namespace: string | undefined;
  readonly labelSelector: string | undefined;
  /** How many there must be. */
  readonly count: number | undefined;
}

export async function buildingsReadiness(
  kube: Kube,
  { namespace, labelSelector, count }: BuildingsAsked,
): Promise<Readiness> {
  const buildings = await kube.list(buildingKind, {
    ...(namespace !== undefined && { namespace }),
    ...(labelSelector !== undefined && { labelSelector }),
  });
  const all = buildings.map(readinessOf);
  const unready = all.filter(({ isReady }) => !isReady).map(({ told }) => told);
  const missing = count !== undefined && buildings.length < count;
  const summary = `${all.length - unready.length} of ${Math.max(all.length, count ?? 0)} buildings are Ready`;
  return { isReady: unready.length === 0 && !missing, told: [summary, ...unready] };
}

/** Whether an address answers 2xx. */
export async function addressReadiness(url: string): Promise<Readiness> {
  try {
    const answer = await fetch(url, { signal: AbortSignal.timeout(5_000) });
    return {
      isReady: answer.ok,
      told: [`${url}: ${answer.status} ${(await answer.text()).slice(0, 500)}`],
    };
  } catch (error) {
    const why = error instanceof Error && error.cause instanceof Error ? error.cause : error;
    return {
      isReady: false,
      told: [`${url}: ${why instanceof Error ? why.message : 'no answer'}`],
    };
  }
}

/** Asks until it is so or the time is over; what passes by itself counts as not ready. */
export async function untilReady(
  ask: () => Promise<Readiness>,
  timeoutMs: number,
): Promise<Readiness> {
  const endAt = performance.now() + timeoutMs;
  for (;;) {
    const now = await ask().catch((error: unknown): Readiness => {
      if (error instanceof PlatformError && error.decision.retriable)
        return { isReady: false, told: [error.message] };
      throw error;
    });
    if (now.isReady || performance.now() >= endAt) return now;
    await sleep(pollMs);
  }
}
