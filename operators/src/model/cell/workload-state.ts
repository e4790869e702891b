import { z } from 'zod';
import type { KubeObject } from '../../runtime/kube.ts';

const controllerSchema = z.object({
  metadata: z.object({ name: z.string(), generation: z.number().optional() }),
  spec: z.object({ replicas: z.number().default(1) }),
  status: z
    .object({
      observedGeneration: z.number().default(0),
      updatedReplicas: z.number().default(0),
      readyReplicas: z.number().default(0),
      availableReplicas: z.number().default(0),
    })
    .prefault({}),
});

export interface WorkloadState {
  readonly name: string;
  readonly wanted: number;
  readonly ready: number;
  /** All replicas are of the newest template and ready. */
  readonly isSettled: boolean;
}

/** Of a Deployment or StatefulSet. */
export function workloadState(object: KubeObject): WorkloadState {
  const { metadata, spec, status } = controllerSchema.parse(object);
  const isSettled =
    status.observedGeneration >= (metadata.generation ?? 0) &&
    status.updatedReplicas >= spec.replicas &&
    status.readyReplicas >= spec.replicas;
  return { name: metadata.name, wanted: spec.replicas, ready: status.readyReplicas, isSettled };
}
