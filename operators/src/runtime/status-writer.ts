import type { Condition } from '../model/condition.ts';
import type { Kind, KubeObject } from './kube.ts';

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
