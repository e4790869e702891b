import type { IncomingMessage } from 'node:http';
/**
 * An API server by plain JSON: nothing is lost that a typed model does not know, and it shares no code with the operator, whose
 * work it looks at.
 */
import { Agent, request, type RequestOptions } from 'node:https';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';

export interface KubeAccess {
  /** As `https://127.0.0.1:6443`. */
  readonly server: string;
  /** In PEM. */
  readonly authority: string;
  readonly identity:
    | { readonly kind: 'certificate'; readonly certificate: string; readonly key: string }
    | { readonly kind: 'token'; readonly token: string };
}

export interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string } & Record<
    string,
    unknown
  >;
  readonly [field: string]: unknown;
}

const objectSchema = z.looseObject({
  apiVersion: z.string().default(''),
  kind: z.string().default(''),
  metadata: z.looseObject({
    name: z.string(),
    namespace: z.string().optional(),
    uid: z.string().default(''),
    resourceVersion: z.string().default(''),
    generation: z.number().optional(),
    deletionTimestamp: z.string().optional(),
    labels: z.record(z.string(), z.string()).default({}),
    annotations: z.record(z.string(), z.string()).default({}),
  }),
});

/** Of any kind, as the server answered it; all else is there too, as unknown. */
export type KubeObject = z.output<typeof objectSchema>;

const listSchema = z.looseObject({
  kind: z.string(),
  apiVersion: z.string(),
  metadata: z.looseObject({ resourceVersion: z.string().default('') }),
  items: z.array(z.unknown()),
});

const resourcesSchema = z.looseObject({
  resources: z.array(
    z.looseObject({ name: z.string(), kind: z.string(), namespaced: z.boolean() }),
  ),
});

const tokenSchema = z.looseObject({ status: z.looseObject({ token: z.string() }) });

/** The server refused; `status` is HTTP's, `message` the server's own. */
export class KubeApiError extends Error {
  readonly status: number;
  readonly body: string;

  constructor(method: string, path: string, status: number, body: string) {
    super(`${method} ${path}: ${status} ${messageOf(body)}`);
    this.status = status;
    this.body = body;
  }
}

export interface RequestBody {
  readonly content: unknown;
  /** Default `application/json`. */
  readonly type?: string;
}

export interface Place {
  readonly name: string;
  readonly namespace?: string;
}

export interface ApplyOptions {
  /** Default `devkit`. */
  readonly fieldManager?: string;
  /** Default true. */
  readonly force?: boolean;
  readonly subresource?: string;
  readonly dryRun?: boolean;
}

export interface KubeList {
  readonly resourceVersion: string;
  readonly items: readonly KubeObject[];
}

const requestTimeoutMs = 30_000;
/** Of what passes by itself: storage of a new kind that is not ready yet. */
const attemptsMax = 20;
const attemptDelayMs = 250;

/** A kind is named as in manifests: `v1`, `Secret` or `apps/v1`, `Deployment`. */
export class KubeClient {
  readonly access: KubeAccess;
  readonly #agent: Agent;
  readonly #served = new Map<string, z.output<typeof resourcesSchema>>();

  constructor(access: KubeAccess) {
    this.access = access;
    const { identity, authority } = access;
    this.#agent = new Agent({
      keepAlive: true,
      ca: authority,
      ...(identity.kind === 'certificate' && { cert: identity.certificate, key: identity.key }),
    });
  }

  /** Any path, any method; throws `KubeApiError` for a status of 400 or more. */
  async request(method: string, path: string, body?: RequestBody): Promise<unknown> {
    const response = await this.open(method, path, body);
    const answer = await text(response);
    const status = response.statusCode ?? 0;
    if (status >= 400) throw new KubeApiError(method, path, status, answer);
    const isJson = response.headers['content-type']?.startsWith('application/json') === true;
    return isJson ? JSON.parse(answer) : answer;
  }

  /** The answer while it comes. */
  open(
    method: string,
    path: string,
    body?: RequestBody,
    more: RequestOptions = {},
  ): Promise<IncomingMessage> {
    const { server, identity } = this.access;
    const content = body === undefined ? undefined : JSON.stringify(body.content);
    const headers = {
      accept: 'application/json',
      ...(identity.kind === 'token' && { authorization: `Bearer ${identity.token}` }),
      ...(content !== undefined && {
        'content-type': body?.type ?? 'application/json',
        'content-length': Buffer.byteLength(content),
      }),
    };
    const options = { method, headers, agent: this.#agent, timeout: requestTimeoutMs, ...more };
    return new Promise((resolve, reject) => {
      const call = request(`${server}${path}`, options, resolve);
      call.on('timeout', () => call.destroy(new Error(`${method} ${path}: no answer`)));
      call.on('error', reject);
      call.end(content);
    });
  }

  async get(apiVersion: string, kind: string, place: Place): Promise<KubeObject> {
    return objectSchema.parse(
      await this.request('GET', await this.pathOf(apiVersion, kind, place)),
    );
  }

  /** Undefined if there is none. */
  async find(apiVersion: string, kind: string, place: Place): Promise<KubeObject | undefined> {
    return this.get(apiVersion, kind, place).catch((error: unknown) => {
      if (error instanceof KubeApiError && error.status === 404) return undefined;
      throw error;
    });
  }

  async list(
    apiVersion: string,
    kind: string,
    { namespace, labels }: { readonly namespace?: string; readonly labels?: string } = {},
  ): Promise<KubeList> {
    const path = await this.collectionOf(apiVersion, kind, namespace);
    const query = labels === undefined ? '' : `?labelSelector=${encodeURIComponent(labels)}`;
    const list = listSchema.parse(await this.request('GET', path + query));
    const items = list.items.map((item) => ({ ...objectSchema.parse(item), apiVersion, kind }));
    return { resourceVersion: list.metadata.resourceVersion, items };
  }

  async create(manifest: Manifest): Promise<KubeObject> {
    const { apiVersion, kind, metadata } = manifest;
    const path = await this.collectionOf(apiVersion, kind, metadata.namespace ?? 'default');
    return objectSchema.parse(await this.request('POST', path, { content: manifest }));
  }

  /** Server-side apply; a namespace that is not given is `default`. */
  async apply(manifest: Manifest, options: ApplyOptions = {}): Promise<KubeObject> {
    const { fieldManager = 'devkit', force = true, subresource, dryRun = false } = options;
    const { apiVersion, kind, metadata } = manifest;
    const path = await this.pathOf(apiVersion, kind, metadata);
    const query = `?fieldManager=${fieldManager}&force=${force}${dryRun ? '&dryRun=All' : ''}`;
    const below = subresource === undefined ? '' : `/${subresource}`;
    const answer = await this.request('PATCH', `${path}${below}${query}`, {
      content: manifest,
      type: 'application/apply-patch+yaml',
    });
    return objectSchema.parse(answer);
  }

  /** One after the other, and waits where one needs what an earlier one defines. */
  async applyAll(manifests: readonly Manifest[], options: ApplyOptions = {}): Promise<void> {
    for (const manifest of manifests) await patiently(() => this.apply(manifest, options));
  }

  /** JSON merge patch; of a subresource if named. */
  async patch(
    apiVersion: string,
    kind: string,
    place: Place & { readonly subresource?: string },
    content: unknown,
  ): Promise<KubeObject> {
    const path = await this.pathOf(apiVersion, kind, place);
    const below = place.subresource === undefined ? '' : `/${place.subresource}`;
    const type = 'application/merge-patch+json';
    return objectSchema.parse(await this.request('PATCH', path + below, { content, type }));
  }

  /** Resolves if it is gone already; objects with finalizers stay until these are removed. */
  async delete(
    apiVersion: string,
    kind: string,
    place: Place & { readonly graceSeconds?: number },
  ): Promise<void> {
    const path = await this.pathOf(apiVersion, kind, place);
    const content = {
      propagationPolicy: 'Background',
      ...(place.graceSeconds !== undefined && { gracePeriodSeconds: place.graceSeconds }),
    };
    await this.request('DELETE', path, { content }).catch((error: unknown) => {
      if (!(error instanceof KubeApiError && error.status === 404)) throw error;
    });
  }

  /** Asks for a token of a service account by its `token` path. */
  async token(path: string, content: object): Promise<string> {
    return tokenSchema.parse(await this.request('POST', path, { content })).status.token;
  }

  /** Of one object. */
  async pathOf(apiVersion: string, kind: string, place: Place): Promise<string> {
    const collection = await this.collectionOf(apiVersion, kind, place.namespace ?? 'default');
    return `${collection}/${encodeURIComponent(place.name)}`;
  }

  /** Of a kind; without a namespace that of all of them. */
  async collectionOf(apiVersion: string, kind: string, namespace?: string): Promise<string> {
    const root = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
    const { name, namespaced } = await this.#resource(root, kind);
    return namespaced && namespace !== undefined
      ? `${root}/namespaces/${namespace}/${name}`
      : `${root}/${name}`;
  }

  close(): void {
    this.#agent.destroy();
  }

  async #resource(root: string, kind: string): Promise<{ name: string; namespaced: boolean }> {
    const search = () =>
      this.#served
        .get(root)
        ?.resources.find((resource) => resource.kind === kind && !resource.name.includes('/'));
    // A kind that was not there a moment ago may be there now.
    if (search() === undefined)
      this.#served.set(root, resourcesSchema.parse(await this.request('GET', root)));
    const found = search();
    if (found === undefined) throw new KubeApiError('GET', root, 404, `no kind ${kind}`);
    return found;
  }
}

/** Tries again what is refused only because something before it has not settled. */
async function patiently<T>(act: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await act();
    } catch (error) {
      const passes = error instanceof KubeApiError && [404, 429, 503].includes(error.status);
      if (!passes || attempt === attemptsMax) throw error;
      await sleep(attemptDelayMs);
    }
  }
}

function messageOf(body: string): string {
  try {
    return z.looseObject({ message: z.string() }).parse(JSON.parse(body)).message;
  } catch {
    return body.slice(0, 500);
  }
}

export function parseObject(answer: unknown): KubeObject {
  return objectSchema.parse(answer);
}
