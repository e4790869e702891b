import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { KubeAccess } from './kube-access.ts';
import type { Kind, KubeObject } from './kube.ts';

export const thingKind: Kind = {
  group: 'fake.test',
  version: 'v1',
  kind: 'Thing',
  plural: 'things',
  namespaced: true,
};

interface Logged {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
  readonly version: number;
  readonly object: KubeObject;
}

/**
 * A fake of the API server's list and watch for one kind, for faults that the real one cannot be made to show at will: versions
 * that are gone, answers cut within an event, bookmarks on demand. Writes are made by its methods.
 */
export class FakeApi implements AsyncDisposable {
  readonly port: number;
  /** Paths with queries, in their order. */
  readonly asked: string[] = [];
  readonly tokens: (string | undefined)[] = [];
  /** Answers instead of the fake if it returns true. */
  intercept: (request: IncomingMessage, response: ServerResponse) => boolean = () => false;
  readonly #server: Server;
  readonly #objects = new Map<string, KubeObject>();
  readonly #watchers = new Set<ServerResponse>();
  #log: Logged[] = [];
  #version = 1;
  #compacted = 0;

  static async start(): Promise<FakeApi> {
    const server = createServer();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    return new FakeApi(server, typeof address === 'object' && address !== null ? address.port : 0);
  }

  private constructor(server: Server, port: number) {
    this.#server = server;
    this.port = port;
    server.on('request', (request, response) => this.#answer(request, response));
  }

  get watches(): number {
    return this.#watchers.size;
  }

  get lists(): number {
    return this.asked.filter((path) => !path.includes('watch=true') && !path.includes('continue='))
      .length;
  }

  get names(): string[] {
    return [...this.#objects.keys()].toSorted();
  }

  put(name: string, value: unknown = null): void {
    this.#version += 1;
    const before = this.#objects.get(name);
    const uid = before?.metadata.uid ?? `uid-${this.#version}`;
    const metadata = { name, namespace: 'here', uid, resourceVersion: `${this.#version}` };
    const object = { apiVersion: 'fake.test/v1', kind: 'Thing', metadata, value };
    this.#objects.set(name, object);
    this.#tell(before === undefined ? 'ADDED' : 'MODIFIED', object);
  }

  remove(name: string): void {
    const before = this.#objects.get(name);
    if (before === undefined) return;
    this.#version += 1;
    this.#objects.delete(name);
    const metadata = { ...before.metadata, resourceVersion: `${this.#version}` };
    this.#tell('DELETED', { ...before, metadata });
  }

  /** Something that this collection does not show. */
  passVersions(): void {
    this.#version += 10;
  }

  /** What was up to now cannot be watched any more. */
  compact(): void {
    this.#compacted = this.#version;
    this.#log = [];
  }

  /** To every watch. */
  send(text: string): void {
    for (const watcher of this.#watchers) watcher.write(text);
  }

  bookmark(): void {
    this.send(
      line({ type: 'BOOKMARK', object: { metadata: { resourceVersion: `${this.#version}` } } }),
    );
  }

  endWatches(): void {
    for (const watcher of this.#watchers) watcher.end();
  }

  cutWatches(): void {
    for (const watcher of this.#watchers) watcher.destroy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.close();
    this.#server.closeAllConnections();
  }

  #tell(type: Logged['type'], object: KubeObject): void {
    this.#log.push({ type, version: this.#version, object });
    this.send(line({ type, object }));
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const url = new URL(request.url ?? '/', 'http://fake');
    this.asked.push(`${url.pathname}${url.search}`);
    this.tokens.push(request.headers.authorization);
    if (this.intercept(request, response)) return;
    if (url.searchParams.get('watch') === 'true') this.#watch(url, response);
    else this.#list(url, response);
  }

  #list(url: URL, response: ServerResponse): void {
    const all = [...this.#objects.values()];
    const begin = Number(url.searchParams.get('continue') ?? 0);
    const limit = Number(url.searchParams.get('limit') ?? all.length);
    const end = begin + limit;
    const rest = end < all.length ? { continue: `${end}` } : {};
    const metadata = { resourceVersion: `${this.#version}`, ...rest };
    response.end(JSON.stringify({ metadata, items: all.slice(begin, end) }));
  }

  #watch(url: URL, response: ServerResponse): void {
    const from = Number(url.searchParams.get('resourceVersion'));
    if (from < this.#compacted) {
      goneEvent(response);
      return;
    }
    response.writeHead(200).flushHeaders();
    for (const { type, version, object } of this.#log)
      if (version > from) response.write(line({ type, object }));
    this.#watchers.add(response);
    const seconds = Number(url.searchParams.get('timeoutSeconds'));
    const timer = setTimeout(() => response.end(), seconds * 1_000);
    response.on('close', () => {
      clearTimeout(timer);
      this.#watchers.delete(response);
    });
  }
}

/** As the API server mostly tells it: within a success. */
function goneEvent(response: ServerResponse): void {
  response.end(line({ type: 'ERROR', object: { kind: 'Status', code: 410, reason: 'Expired' } }));
}

export function status(
  response: ServerResponse,
  code: number,
  headers: Record<string, string> = {},
) {
  response
    .writeHead(code, headers)
    .end(JSON.stringify({ kind: 'Status', code, message: `is ${code}` }));
}

function line(event: unknown): string {
  return `${JSON.stringify(event)}\n`;
}

export function accessTo(port: number): KubeAccess {
  return {
    server: new URL(`http://127.0.0.1:${port}`),
    namespace: undefined,
    tls: {},
    authorization: async () => undefined,
  };
}
