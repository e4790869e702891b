import type { KubeObject } from './kube.ts';

export interface EventToRecord {
  readonly type: 'Normal' | 'Warning';
  /** CamelCase, stable: what `kubectl get events` is filtered by. */
  readonly reason: string;
  /** CamelCase: what was being done, for example `ApplyTopics`. */
  readonly action: string;
  /** One sentence that says what to do next; no secrets, no readings. Cut at 1,024 characters. */
  readonly note: string;
}

export interface EventRecorder {
  /** Returns at once and never throws. What was said of an object lately is not said again; an event may be lost. */
  record(regarding: KubeObject, event: EventToRecord): void;
}
