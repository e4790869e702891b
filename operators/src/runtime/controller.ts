import { PlatformError } from '@domicile/core/errors.ts';
import type { OperatorEvents } from '../events.ts';
import type { Change } from '../model/object-cache.ts';
import type { QueueLimits, Result } from '../model/queue-state.ts';
import type { EventRecorder } from './event-recorder.ts';
import type { Informers } from './informers.ts';
import { isCode } from './kube-client.ts';
import { keyOf, refOf, refOfKey } from './kube-path.ts';
import type { Kind, KubeObject, Ref } from './kube.ts';
import type { Term } from './leader-lease.ts';
import type { Dependency, Outcome, Reconciler } from './reconciler.ts';
import { WorkQueue } from './work-queue.ts';

export interface ControllerOptions {
  readonly reconciler: Reconciler;
  readonly informers: Informers;
  readonly recorder: EventRecorder;
  readonly events: OperatorEvents;
  readonly limits: QueueLimits;
  readonly resyncMs: number;
}

/** What takes longer is aborted and counts as a failure. */
const reconcileMsMax = 300_000;
const resyncJitter = 0.1;

/** One reconciler with its watches and, while this process leads, its queue. */
export class Controller {
  readonly #options: ControllerOptions;
  #queue: WorkQueue | undefined;

  /** Says what is to be watched. */
  constructor(options: ControllerOptions) {
    this.#options = options;
    const { reconciler, informers } = options;
    const { kind, namespaces, dependencies } = reconciler;
    for (const collection of collectionsOf(kind, namespaces))
      informers.need(collection, (change) => this.#add(refOf(change.object)));
    for (const { kind: on, namespaces: within, labelSelector, ownersOf } of dependencies)
      for (const collection of collectionsOf(on, within))
        informers.need({ ...collection, labelSelector }, (change) => {
          for (const ref of this.#ownersOf(change, ownersOf)) this.#add(ref);
        });
  }

  get isIdle(): boolean {
    return this.#queue?.isIdle ?? true;
  }

  /** Works until it is disposed, which takes no more and waits for what was begun. */
  lead(term: Term, stop: AbortSignal): AsyncDisposable {
    const { reconciler, limits, events, resyncMs } = this.#options;
    const { name } = reconciler;
    const signal = AbortSignal.any([term.lost, stop]);
    const { restMs = 0 } = reconciler;
    const queue = new WorkQueue({
      limits: { ...limits, restMs },
      work: (key) => this.#work(key, signal),
      observer: {
        added: (due) => events.added(name, due),
        taken: (waitedMs, due) => events.taken(name, waitedMs, due),
        finished: (workedMs) => events.finished(name, workedMs),
        retried: () => events.retried(name),
      },
    });
    this.#queue = queue;
    this.#resync();
    const jitter = 1 + (Math.random() * 2 - 1) * resyncJitter;
    const timer = setInterval(() => this.#resync(), resyncMs * jitter);
    return {
      [Symbol.asyncDispose]: async () => {
        clearInterval(timer);
        this.#queue = undefined;
        await queue[Symbol.asyncDispose]();
      },
    };
  }

  #add(ref: Ref): void {
    this.#queue?.add(keyOf(ref), 'change');
  }

  #resync(): void {
    const { informers, reconciler } = this.#options;
    const { kind, always = [] } = reconciler;
    const listed = informers.list(kind).map((object) => keyOf(refOf(object)));
    for (const key of new Set([...listed, ...always.map(keyOf)])) this.#queue?.add(key, 'resync');
  }

  #ownersOf(change: Change, ownersOf: Dependency['ownersOf']): readonly Ref[] {
    const { events, reconciler } = this.#options;
    try {
      const before = change.type === 'updated' ? ownersOf(change.before, false) : [];
      return [...before, ...ownersOf(change.object, change.type === 'deleted')];
    } catch (error) {
      events.ownersUnknown(reconciler.name, change.object.kind, error);
      return [];
    }
  }

  async #work(key: string, signal: AbortSignal): Promise<Result> {
    const { reconciler, informers, events } = this.#options;
    const ref = refOfKey(key);
    const object = informers.get(reconciler.kind, ref);
    const outcome = await this.#look(ref, object, signal);
    if (outcome.kind === 'failed' && isOvertaken(outcome.error, signal)) {
      events.overtaken(reconciler.name);
      return { kind: signal.aborted ? 'done' : 'failed' };
    }
    events.reconciled(reconciler.name, key, outcome);
    if (object !== undefined) this.#tell(object, outcome);
    return outcome.kind === 'refused' ? { kind: 'done' } : outcome;
  }

  /** Never throws. */
  async #look(ref: Ref, object: KubeObject | undefined, signal: AbortSignal): Promise<Outcome> {
    const limit = new AbortController();
    const late = new PlatformError(
      'UPSTREAM_UNAVAILABLE',
      `Cannot end a reconcile within ${reconcileMsMax} ms`,
    );
    const timer = setTimeout(() => limit.abort(late), reconcileMsMax);
    const abort = () => limit.abort(signal.reason);
    if (signal.aborted) abort();
    signal.addEventListener('abort', abort, { once: true });
    try {
      return await this.#options.reconciler.reconcile(ref, object, limit.signal);
    } catch (error) {
      return { kind: 'failed', error };
    } finally {
      clearTimeout(timer);
      signal.removeEventListener('abort', abort);
    }
  }

  #tell(object: KubeObject, outcome: Outcome): void {
    const { recorder } = this.#options;
    const type = 'Warning';
    const action = 'Reconcile';
    if (outcome.kind === 'refused')
      recorder.record(object, { type, action, reason: 'Refused', note: outcome.reason });
    if (outcome.kind !== 'failed') return;
    const { error } = outcome;
    const note =
      error instanceof PlatformError
        ? error.message
        : 'An internal error; the log of the operator has the rest';
    recorder.record(object, { type, action, reason: 'ReconcileFailed', note });
  }
}

/** It is looked at again anyway, and nobody has to do anything. */
function isOvertaken(error: unknown, signal: AbortSignal): boolean {
  return signal.aborted || isCode(error, 'CONFLICT') || isCode(error, 'FENCED');
}

function collectionsOf(kind: Kind, namespaces: readonly string[] | undefined) {
  return kind.namespaced && namespaces !== undefined
    ? namespaces.map((namespace) => ({ kind, namespace }))
    : [{ kind }];
}
