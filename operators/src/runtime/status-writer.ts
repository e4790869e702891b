import { z } from 'zod';
import { type Condition, withCondition } from '../model/condition.ts';
import { mergePatchOf } from '../model/merge-patch.ts';
import { refOf } from './kube-path.ts';
import type { Kind, Kube, KubeObject } from './kube.ts';

/** A condition before it is known since when it holds. */
export type ConditionNow = Pick<Condition, 'type' | 'status' | 'reason' | 'message'>;

export interface StatusNow {
  /** Those of other types stay as they are. */
  readonly conditions: readonly ConditionNow[];
  /** Every other field of the status; one that is left out is removed. */
  readonly fields?: Readonly<Record<string, unknown>>;
}

export interface StatusWriter {
  /**
   * Makes it the status of `seen`, with `observedGeneration` of `seen`, and writes only if that changes something.
   * Throws `CONFLICT` if the object is no longer as it was seen: it will be looked at again anyway.
   */
  write(kind: Kind, seen: KubeObject, status: StatusNow): Promise<KubeObject>;
}

/** The server refuses longer ones. */
const messageMax = 32_768;

const conditionSchema = z.object({
  type: z.string(),
  status: z.enum(['True', 'False', 'Unknown']),
  reason: z.string().default(''),
  message: z.string().default(''),
  observedGeneration: z.number().default(0),
  lastTransitionTime: z.string().default(''),
});
const statusSchema = z.looseObject({ conditions: z.array(z.unknown()).default([]) });

/** `now` in milliseconds since 1970. */
export function createStatusWriter(kube: Kube, now: () => number): StatusWriter {
  return {
    async write(kind, seen, { conditions, fields = {} }) {
      const { generation = 0, resourceVersion } = seen.metadata;
      const before = conditionsOf(seen);
      const lastTransitionTime = new Date(now()).toISOString().replace(/\.\d+Z$/, 'Z');
      const merged = conditions.reduce<readonly Condition[]>(
        (all, one) =>
          withCondition(all, {
            ...one,
            message: one.message.slice(0, messageMax),
            observedGeneration: generation,
            lastTransitionTime,
          }),
        before,
      );
      const order = new Map(before.map(({ type }, index) => [type, index]));
      const place = ({ type }: Condition) => order.get(type) ?? before.length;
      const status = mergePatchOf(seen['status'], {
        ...fields,
        observedGeneration: generation,
        conditions: merged.toSorted((a, b) => place(a) - place(b)),
      });
      if (status === undefined) return seen;
      const patch = { metadata: { resourceVersion }, status };
      return kube.patch(kind, refOf(seen), patch, { subresource: 'status' });
    },
  };
}

export function conditionsOf(object: KubeObject): readonly Condition[] {
  const status = statusSchema.safeParse(object['status'] ?? {});
  if (!status.success) return [];
  return status.data.conditions.flatMap((one) => {
    const parsed = conditionSchema.safeParse(one);
    return parsed.success ? [parsed.data] : [];
  });
}
