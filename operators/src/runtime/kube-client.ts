import { createHash } from 'node:crypto';
import { PlatformError } from '@domicile/core/errors.ts';
import { appliedFields, isApplied, stableJson, valuesOf } from '../model/applied-fields.ts';
import { isManagerConflict } from './kube-errors.ts';
import type { HttpCall, KubeHttp } from './kube-http.ts';
import { objectOf, pageOf } from './kube-object.ts';
import { apiVersionOf, collectionPath, keyOf, objectPath, refOf } from './kube-path.ts';
import type {
  ApplyOptions,
  Kind,
  Kube,
  KubeObject,
  ListOptions,
  PatchOptions,
  Ref,
} from './kube.ts';
import type { Leadership } from './leadership.ts';
import type { RateLimiter } from './rate-limiter.ts';

export interface KubeClientOptions {
  readonly http: KubeHttp;
  readonly limiter: RateLimiter;
  readonly fieldManager: string;
  /** Asked right before each write; absent for who may always write. */
  readonly leadership?: Leadership;
}

/** How often an apply looks again when the object changed between its look and its write. */
const applyAttemptsMax = 4;
/** Objects whose last apply is remembered. */
const rememberedMax = 50_000;
export const pageSize = 250;

/** The API server by raw JSON. */
export class KubeClient implements Kube {
  readonly #options: KubeClientOptions;
  /** By path: what was wanted and what stood in our fields after it, as digests. */
  readonly #applied = new Map<string, { readonly wanted: string; readonly stands: string }>();

  constructor(options: KubeClientOptions) {
    this.#options = options;
  }

  async get(kind: Kind, ref: Ref): Promise<KubeObject | undefined> {
    const path = objectPath(kind, ref);
    const doing = `read the ${kind.kind} ${keyOf(ref)}`;
    try {
      return objectOf(kind, await this.#call({ method: 'GET', path, doing }));
    } catch (error) {
      if (isCode(error, 'NOT_FOUND')) return undefined;
      throw error;
    }
  }

  async list(kind: Kind, { namespace, labelSelector }: ListOptions = {}) {
    const items: KubeObject[] = [];
    let next: string | undefined;
    do {
      const answer = await this.#call({
        method: 'GET',
        path: collectionPath(kind, namespace),
        query: { limit: `${pageSize}`, continue: next, labelSelector },
        doing: `list the ${kind.plural}`,
      });
      const page = pageOf(kind, answer);
      items.push(...page.items);
      next = page.next;
    } while (next !== undefined);
    return items;
  }

  async apply(kind: Kind, object: KubeObject, options: ApplyOptions = {}): Promise<KubeObject> {
    const wanted = plain({ ...object, apiVersion: apiVersionOf(kind), kind: kind.kind });
    if (options.dryRun === true) return this.#patchApply(kind, wanted, options);
    for (let attempt = 1; ; attempt += 1) {
      const live = await this.get(kind, refOf(object));
      const seen = live?.metadata.resourceVersion;
      const asked = object.metadata.resourceVersion;
      if (asked !== undefined && asked !== seen)
        throw new PlatformError(
          'CONFLICT',
          `Cannot apply the ${kind.kind} ${keyOf(refOf(object))}: it has changed since it was read`,
        );
      if (live !== undefined && this.#stands(kind, wanted, live, options)) return live;
      // Fenced by the version seen: who was paused in between changes nothing.
      const metadata = { ...object.metadata, ...(seen !== undefined && { resourceVersion: seen }) };
      try {
        const made = await this.#patchApply(kind, plain({ ...wanted, metadata }), options);
        this.#remember(kind, wanted, made, options);
        return made;
      } catch (error) {
        const mayPass = isCode(error, 'CONFLICT') && !isManagerConflict(error);
        if (!mayPass || asked !== undefined || attempt >= applyAttemptsMax) throw error;
      }
    }
  }

  async create(kind: Kind, object: KubeObject): Promise<KubeObject> {
    const doing = `create the ${kind.kind} ${keyOf(refOf(object))}`;
    const answer = await this.#write({
      method: 'POST',
      path: collectionPath(kind, object.metadata.namespace),
      query: { fieldManager: this.#options.fieldManager },
      body: { ...object, apiVersion: apiVersionOf(kind), kind: kind.kind },
      doing,
    });
    return objectOf(kind, answer);
  }

  async patch(kind: Kind, ref: Ref, patch: unknown, { subresource }: PatchOptions = {}) {
    const what = subresource === undefined ? '' : `${subresource} of the `;
    const answer = await this.#write({
      method: 'PATCH',
      path: objectPath(kind, ref, subresource),
      query: { fieldManager: this.#options.fieldManager },
      body: patch,
      contentType: 'application/merge-patch+json',
      doing: `change the ${what}${kind.kind} ${keyOf(ref)}`,
    });
    return objectOf(kind, answer);
  }

  async delete(
    kind: Kind,
    ref: Ref,
    only: { readonly uid: string; readonly resourceVersion?: string },
  ): Promise<void> {
    const { uid, resourceVersion } = only;
    try {
      await this.#write({
        method: 'DELETE',
        path: objectPath(kind, ref),
        body: {
          apiVersion: 'v1',
          kind: 'DeleteOptions',
          propagationPolicy: 'Background',
          preconditions: { uid, ...(resourceVersion !== undefined && { resourceVersion }) },
        },
        doing: `delete the ${kind.kind} ${keyOf(ref)}`,
      });
    } catch (error) {
      if (!isCode(error, 'NOT_FOUND')) throw error;
    }
  }

  async #patchApply(kind: Kind, body: KubeObject, options: ApplyOptions): Promise<KubeObject> {
    const { force = true, dryRun = false, subresource } = options;
    const call: HttpCall = {
      method: 'PATCH',
      path: objectPath(kind, refOf(body), subresource),
      query: {
        fieldManager: this.#options.fieldManager,
        force: `${force}`,
        dryRun: dryRun ? 'All' : undefined,
      },
      body,
      contentType: 'application/apply-patch+yaml',
      doing: `apply the ${kind.kind} ${keyOf(refOf(body))}`,
    };
    return objectOf(kind, await (dryRun ? this.#call(call) : this.#write(call)));
  }

  /** Whether an apply would change nothing: by comparing, or as nothing of ours has changed since the last one. */
  #stands(kind: Kind, wanted: KubeObject, live: KubeObject, options: ApplyOptions): boolean {
    const fields = appliedFields(live, this.#manager(kind, options));
    if (fields === undefined) return false;
    if (isApplied(wanted, live, fields)) return true;
    const last = this.#applied.get(applyKey(kind, wanted, options));
    if (last === undefined || last.wanted !== digest(stableJson(wanted))) return false;
    return last.stands === digest(`${live.metadata.uid}${valuesOf(fields, live)}`);
  }

  #remember(kind: Kind, wanted: KubeObject, made: KubeObject, options: ApplyOptions): void {
    const fields = appliedFields(made, this.#manager(kind, options));
    if (fields === undefined || isApplied(wanted, made, fields)) return;
    const [oldest] = this.#applied.keys();
    if (oldest !== undefined && this.#applied.size >= rememberedMax) this.#applied.delete(oldest);
    this.#applied.set(applyKey(kind, wanted, options), {
      wanted: digest(stableJson(wanted)),
      stands: digest(`${made.metadata.uid}${valuesOf(fields, made)}`),
    });
  }

  #manager(kind: Kind, { subresource }: ApplyOptions) {
    return { name: this.#options.fieldManager, apiVersion: apiVersionOf(kind), subresource };
  }

  async #write(call: HttpCall): Promise<unknown> {
    return this.#call({ ...call, fence: () => this.#options.leadership?.assert(call.doing) });
  }

  async #call(call: HttpCall): Promise<unknown> {
    const { http, limiter } = this.#options;
    await limiter.turn();
    try {
      return await http.call(call);
    } catch (error) {
      const after = error instanceof PlatformError ? error.details['retryAfterMs'] : undefined;
      if (typeof after === 'number') limiter.pause(after);
      throw error;
    }
  }
}

function applyKey(kind: Kind, object: KubeObject, { subresource }: ApplyOptions): string {
  return `${kind.group}/${kind.plural}/${keyOf(refOf(object))}/${subresource ?? ''}`;
}

function digest(text: string): string {
  return createHash('sha256').update(text).digest('base64url');
}

/** As it goes over the wire: without what is undefined. */
function plain(object: KubeObject): KubeObject {
  const copy: KubeObject = JSON.parse(JSON.stringify(object));
  return copy;
}

export function isCode(error: unknown, code: PlatformError['code']): boolean {
  return error instanceof PlatformError && error.code === code;
}
