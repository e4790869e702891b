import { randomBytes } from 'node:crypto';
import type { Kind, Kube, KubeObject } from './kube.ts';
import { microTime } from './leader-lease.ts';

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

export interface KubeEventRecorderOptions {
  readonly kube: Kube;
  /** Who reports: the operator, and which replica of it. */
  readonly controller: string;
  readonly instance: string;
  readonly lost?: (error: unknown) => void;
}

const eventKind: Kind = {
  group: 'events.k8s.io',
  version: 'v1',
  kind: 'Event',
  plural: 'events',
  namespaced: true,
};

const noteMax = 1_024;
/** The API server's limits of names; a random part follows. */
const nameMax = 200;
/** The same is said once in that time, and so much of one object: of each type, so that no news keep a warning from people. */
const windowMs = 600_000;
const perObjectMax = 20;
const waitingMax = 500;
const rememberedMax = 10_000;

/** Events of events.k8s.io, in the namespace of what they regard; `default` for what is of the cluster. */
export class KubeEventRecorder implements EventRecorder {
  readonly #options: KubeEventRecorderOptions;
  readonly #said = new Map<string, number>();
  readonly #ofObject = new Map<string, { count: number; readonly since: number }>();
  readonly #waiting: KubeObject[] = [];
  #isSending = false;

  constructor(options: KubeEventRecorderOptions) {
    this.#options = options;
  }

  record(regarding: KubeObject, event: EventToRecord): void {
    const note = event.note.slice(0, noteMax);
    const of = `${regarding.metadata.uid ?? regarding.metadata.name}\n${event.type}`;
    if (!this.#isNews([of, event.reason, note].join('\n')) || !this.#isAllowed(of)) return;
    if (this.#waiting.length >= waitingMax) return;
    this.#waiting.push(this.#eventOf(regarding, { ...event, note }));
    if (!this.#isSending) void this.#send();
  }

  #isNews(key: string): boolean {
    const now = performance.now();
    const saidAt = this.#said.get(key);
    if (saidAt !== undefined && now - saidAt < windowMs) return false;
    this.#said.delete(key);
    this.#said.set(key, now);
    dropOldest(this.#said);
    return true;
  }

  #isAllowed(of: string): boolean {
    const now = performance.now();
    const known = this.#ofObject.get(of);
    if (known === undefined || now - known.since >= windowMs) {
      this.#ofObject.delete(of);
      this.#ofObject.set(of, { count: 1, since: now });
      dropOldest(this.#ofObject);
      return true;
    }
    known.count += 1;
    return known.count <= perObjectMax;
  }

  #eventOf({ apiVersion, kind, metadata }: KubeObject, event: EventToRecord): KubeObject {
    const { name, namespace, uid, resourceVersion } = metadata;
    const { type, reason, action, note } = event;
    return {
      apiVersion: 'events.k8s.io/v1',
      kind: 'Event',
      metadata: {
        name: `${name.slice(0, nameMax)}.${randomBytes(8).toString('hex')}`,
        namespace: namespace ?? 'default',
      },
      eventTime: microTime(),
      reportingController: this.#options.controller,
      reportingInstance: this.#options.instance.slice(0, 128),
      type,
      reason,
      action,
      note,
      regarding: { apiVersion, kind, name, namespace, uid, resourceVersion },
    };
  }

  async #send(): Promise<void> {
    this.#isSending = true;
    for (let event = this.#waiting.shift(); event; event = this.#waiting.shift())
      await this.#options.kube
        .create(eventKind, event)
        .catch((error: unknown) => this.#options.lost?.(error));
    this.#isSending = false;
  }
}

function dropOldest(map: Map<string, unknown>): void {
  const [oldest] = map.keys();
  if (map.size > rememberedMax && oldest !== undefined) map.delete(oldest);
}
