import type { IncomingMessage } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { KubeApiError, type KubeClient, type KubeObject, parseObject } from './kube-client.ts';

export interface Following {
  readonly apiVersion: string;
  readonly kind: string;
  /** The whole state, after each list: tells also what went meanwhile. */
  readonly onList: (objects: readonly KubeObject[]) => void;
  readonly onChange: (type: 'ADDED' | 'MODIFIED' | 'DELETED', object: KubeObject) => void;
  readonly signal: AbortSignal;
}

const eventSchema = z.object({
  type: z.enum(['ADDED', 'MODIFIED', 'DELETED', 'BOOKMARK', 'ERROR']),
  object: z.looseObject({ code: z.number().optional() }),
});

const watchSeconds = 240;
/** The server is asked for a bookmark a minute; a connection that says nothing for longer is dead. */
const silenceMsMax = 90_000;
const retryDelayMs = { first: 100, max: 2_000 };

/** Lists, then watches, and begins again after whatever may happen. Resolves when the signal is aborted. */
export async function follow(client: KubeClient, following: Following): Promise<void> {
  const { signal } = following;
  let version: string | undefined;
  let delayMs = retryDelayMs.first;
  while (!signal.aborted) {
    try {
      version = await watch(client, following, version ?? (await list(client, following)));
      delayMs = retryDelayMs.first;
    } catch (error) {
      if (signal.aborted) return;
      version = error instanceof Interrupted ? error.version : undefined;
      await sleep(delayMs, undefined, { signal }).catch(() => undefined);
      delayMs = Math.min(2 * delayMs, retryDelayMs.max);
    }
  }
}

async function list(client: KubeClient, following: Following): Promise<string> {
  const { items, resourceVersion } = await client.list(following.apiVersion, following.kind);
  following.signal.throwIfAborted();
  following.onList(items);
  return resourceVersion;
}

/** The connection broke; what comes after this version has not been seen. */
class Interrupted extends Error {
  readonly version: string;

  constructor(version: string, cause: unknown) {
    super('The watch was interrupted', { cause });
    this.version = version;
  }
}

/** Resolves with the version to go on from when the server ends the watch in good order. */
async function watch(client: KubeClient, following: Following, from: string): Promise<string> {
  const { apiVersion, kind, signal } = following;
  const collection = await client.collectionOf(apiVersion, kind);
  const query = `watch=1&allowWatchBookmarks=true&timeoutSeconds=${watchSeconds}&resourceVersion=${from}`;
  const path = `${collection}?${query}`;
  let version = from;
  try {
    const options = { signal, timeout: silenceMsMax };
    const response = await client.open('GET', path, undefined, options);
    if (response.statusCode !== 200) {
      response.resume();
      throw new KubeApiError('GET', path, response.statusCode ?? 0, 'the watch was refused');
    }
    for await (const line of linesOf(response)) {
      const { type, object } = eventSchema.parse(JSON.parse(line));
      if (type === 'ERROR') throw new KubeApiError('GET', path, object.code ?? 500, line);
      if (type === 'BOOKMARK') {
        const { metadata } = z
          .looseObject({ metadata: z.looseObject({ resourceVersion: z.string() }) })
          .parse(object);
        version = metadata.resourceVersion;
        continue;
      }
      const changed = { ...parseObject(object), apiVersion, kind };
      following.onChange(type, changed);
      version = changed.metadata.resourceVersion;
    }
    return version;
  } catch (error) {
    // 410 and its like: the server has forgotten that version.
    if (error instanceof KubeApiError && error.status < 429) throw error;
    throw new Interrupted(version, error);
  }
}

async function* linesOf(response: IncomingMessage): AsyncGenerator<string> {
  response.setEncoding('utf8');
  let rest = '';
  for await (const chunk of response) {
    const lines = `${rest}${chunk}`.split('\n');
    rest = lines.pop() ?? '';
    yield* lines.filter((line) => line !== '');
  }
}
