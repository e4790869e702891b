import type { IncomingMessage } from 'node:http';
import { PlatformError } from '@domicile/core/errors.ts';
import { z } from 'zod';
import { errorOfAnswer, errorOfConnection } from './kube-errors.ts';
import type { KubeHttp } from './kube-http.ts';
import { objectOf } from './kube-object.ts';
import { collectionPath } from './kube-path.ts';
import type { Kind, KubeObject } from './kube.ts';

export type WatchEvent =
  | { readonly type: 'put' | 'removed'; readonly object: KubeObject }
  /** Nothing changed up to that version. */
  | { readonly type: 'bookmark'; readonly resourceVersion: string };

/** Which objects: of a kind, of a namespace, with labels. */
export interface Collection {
  readonly kind: Kind;
  readonly namespace?: string | undefined;
  readonly labelSelector?: string | undefined;
}

export interface WatchOptions {
  readonly http: KubeHttp;
  readonly collection: Collection;
  readonly from: string;
  /** The server ends it after that; whole seconds. */
  readonly watchMs: number;
  /** So much later we end it ourselves: the connection is half open. */
  readonly graceMs: number;
  readonly signal: AbortSignal;
}

/** An object is a megabyte and a half at most. */
const lineCharsMax = 16 << 20;

const eventSchema = z.object({
  type: z.enum(['ADDED', 'MODIFIED', 'DELETED', 'BOOKMARK', 'ERROR']),
  object: z.looseObject({}),
});
const bookmarkSchema = z.object({ metadata: z.object({ resourceVersion: z.string().min(1) }) });
const statusSchema = z.object({ code: z.number().catch(500) });

/**
 * Changes after `from`, until the server ends it in its time. Throws `PRECONDITION_FAILED` if `from` is too long ago, else as
 * `Kube` does; `UPSTREAM_UNAVAILABLE` also if the connection broke or fell silent.
 */
export async function* watchStream(options: WatchOptions): AsyncGenerator<WatchEvent, void> {
  const { http, collection, from, watchMs, graceMs, signal } = options;
  const { kind, namespace, labelSelector } = collection;
  const doing = `watch the ${kind.plural}`;
  const response = await http.stream({
    method: 'GET',
    path: collectionPath(kind, namespace),
    query: {
      watch: 'true',
      resourceVersion: from,
      allowWatchBookmarks: 'true',
      timeoutSeconds: `${Math.max(1, Math.round(watchMs / 1_000))}`,
      labelSelector,
    },
    signal,
    doing,
  });
  let isSilent = false;
  const timer = setTimeout(() => {
    isSilent = true;
    response.destroy();
  }, watchMs + graceMs);
  const abort = () => response.destroy();
  signal.addEventListener('abort', abort, { once: true });
  if (signal.aborted) abort();
  try {
    for await (const line of linesOf(response)) yield eventOf(kind, line, doing);
    if (!response.complete) throw new Error('the stream was cut');
  } catch (error) {
    signal.throwIfAborted();
    const why = isSilent ? new Error('nothing came for too long') : error;
    throw errorOfConnection(why, doing);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', abort);
    response.destroy();
  }
}

async function* linesOf(response: IncomingMessage): AsyncGenerator<string> {
  let rest = '';
  response.setEncoding('utf8');
  for await (const chunk of response) {
    const parts = `${rest}${String(chunk)}`.split('\n');
    rest = parts.pop() ?? '';
    for (const line of parts) if (line.trim() !== '') yield line;
    if (rest.length > lineCharsMax) throw new Error('an event is too large');
  }
  // What has no end of line was cut.
  if (rest.trim() !== '') throw new Error('the stream was cut');
}

function eventOf(kind: Kind, line: string, doing: string): WatchEvent {
  const parsed = eventSchema.safeParse(JSON.parse(line));
  if (!parsed.success)
    throw new PlatformError(
      'UPSTREAM_UNAVAILABLE',
      `Cannot ${doing}: the event is of no known type`,
    );
  const { type, object } = parsed.data;
  if (type === 'BOOKMARK')
    return {
      type: 'bookmark',
      resourceVersion: bookmarkSchema.parse(object).metadata.resourceVersion,
    };
  if (type === 'ERROR') throw errorOfAnswer(statusSchema.parse(object).code, object, doing);
  return { type: type === 'DELETED' ? 'removed' : 'put', object: objectOf(kind, object) };
}
