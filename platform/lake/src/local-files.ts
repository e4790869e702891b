import { createHash, randomUUID } from 'node:crypto';
import { access, mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PlatformError } from '@domicile/core/errors.ts';
import { unlessAborted } from '@domicile/runtime/unless-aborted.ts';
import type { ObjectStore } from './object-store.ts';

export interface LocalFile {
  readonly key: string;
  readonly bytes: number;
}

/** Objects as files, for an engine that reads nothing else. */
export interface LocalFiles {
  /** Folders that the files are in. */
  readonly folders: readonly string[];
  /**
   * Runs `work` with the paths of the files, in their order; they stay until it ends. Before that it throws `NOT_FOUND` if one of
   * them is not there, `UPSTREAM_UNAVAILABLE` if they cannot be had or are more than fit, and the signal's reason if it aborts.
   */
  borrow<Result>(
    files: readonly LocalFile[],
    signal: AbortSignal,
    work: (paths: readonly string[]) => Promise<Result>,
  ): Promise<Result>;
  /** Removes what is kept of other files. */
  keepOnly(keys: ReadonlySet<string>): void;
}

/** Of a lake that is a folder: the files are there. */
export function filesOfFolder(dir: string): LocalFiles {
  return {
    folders: [join(dir, 'landing')],
    async borrow(files, _signal, work) {
      const paths = files.map(({ key }) => join(dir, key));
      await Promise.all(paths.map(requireFile));
      return work(paths);
    },
    keepOnly: () => undefined,
  };
}

async function requireFile(path: string): Promise<void> {
  await access(path).catch((cause: unknown) => {
    throw notThere(cause);
  });
}

/** Whole or not at all. What is half written when a disk is full does not fill it for ever. */
async function written(path: string, content: Uint8Array): Promise<void> {
  const passing = `${path}.passing`;
  try {
    await writeFile(passing, content);
    await rename(passing, path);
  } catch (error) {
    await rm(passing, { force: true });
    throw error;
  }
}

function notThere(cause?: unknown): PlatformError {
  return new PlatformError('NOT_FOUND', 'Cannot read: a landed file is not there', { cause });
}

export interface LocalCopiesOptions {
  readonly store: ObjectStore;
  /** Of its own: what is in it is removed. */
  readonly dir: string;
  readonly bytesMax: number;
  /** After how long it is asked whether the object is still the same. */
  readonly freshMs?: number;
  /** After how long without use a copy is removed, so that what is erased in the bucket does not stay here. */
  readonly idleMs?: number;
}

interface Copy {
  readonly key: string;
  readonly path: string;
  readonly bytes: number;
  readonly ready: Promise<string>;
  users: number;
  usedMs: number;
  checkedMs: number;
  generation: string;
}

const downloadsMax = 4;

/**
 * Copies of objects in a folder of bounded size. A copy in use stays, the least recently used go first. A question takes all its
 * files at once or waits, so that two never wait for each other.
 */
export class LocalCopies implements LocalFiles, AsyncDisposable {
  readonly #options: Required<LocalCopiesOptions>;
  /** In the order of their last use. */
  readonly #copies = new Map<string, Copy>();
  readonly #sweeps: NodeJS.Timeout;
  #bytes = 0;
  #isClosed = false;
  #freed = Promise.withResolvers<void>();
  #downloads = 0;
  readonly #waiting: (() => void)[] = [];

  static async open(options: LocalCopiesOptions): Promise<LocalCopies> {
    await rm(options.dir, { recursive: true, force: true });
    await mkdir(options.dir, { recursive: true });
    return new LocalCopies({ freshMs: 60_000, idleMs: 3_600_000, ...options });
  }

  private constructor(options: Required<LocalCopiesOptions>) {
    this.#options = options;
    this.#sweeps = setInterval(() => this.#sweep(), Math.min(options.idleMs, 60_000)).unref();
  }

  get folders(): readonly string[] {
    return [this.#options.dir];
  }

  get bytes(): number {
    return this.#bytes;
  }

  async borrow<Result>(
    files: readonly LocalFile[],
    signal: AbortSignal,
    work: (paths: readonly string[]) => Promise<Result>,
  ): Promise<Result> {
    await unlessAborted(signal, this.#refresh(files));
    const copies = await this.#take(files, signal);
    const all = copies.map(({ ready }) => ready);
    try {
      return await work(await unlessAborted(signal, Promise.all(all)));
    } finally {
      // A download that outlasts its asker keeps its place until it ends.
      void this.#giveBack(copies);
    }
  }

  async #giveBack(copies: readonly Copy[]): Promise<void> {
    await Promise.allSettled(copies.map(({ ready }) => ready));
    for (const copy of copies) copy.users -= 1;
    this.#free();
  }

  keepOnly(keys: ReadonlySet<string>): void {
    for (const copy of this.#copies.values()) if (!keys.has(copy.key)) this.#drop(copy);
    this.#free();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#sweeps);
    this.#isClosed = true;
    // A copy may be being written at this moment, and appear while the folder is emptied.
    await rm(this.#options.dir, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 });
  }

  /** Drops copies of what has been replaced since: by the eraser, as nobody else may. */
  async #refresh(files: readonly LocalFile[]): Promise<void> {
    const nowMs = Date.now();
    const { freshMs, store } = this.#options;
    const stale = files.flatMap(({ key }) => {
      const copy = this.#copies.get(key);
      return copy && nowMs - copy.checkedMs > freshMs ? [copy] : [];
    });
    await Promise.all(
      stale.map(async (copy) => {
        const head = await store.head(copy.key);
        copy.checkedMs = nowMs;
        if (head?.generation !== copy.generation) this.#drop(copy);
      }),
    );
  }

  async #take(files: readonly LocalFile[], signal: AbortSignal): Promise<Copy[]> {
    const wanted = files.reduce((sum, { bytes }) => sum + bytes, 0);
    if (wanted > this.#options.bytesMax)
      throw new PlatformError(
        'UPSTREAM_UNAVAILABLE',
        'Cannot answer: more landed files are needed than fit beside the engine; ask for less',
      );
    while (!this.#hasRoomFor(files)) await unlessAborted(signal, this.#freed.promise);
    return files.map((file) => this.#pinned(file));
  }

  /** Removes what is not in use until the files fit; false if they cannot now. */
  #hasRoomFor(files: readonly LocalFile[]): boolean {
    const keys = new Set(files.map(({ key }) => key));
    const missing = files
      .filter(({ key }) => !this.#copies.has(key))
      .reduce((sum, { bytes }) => sum + bytes, 0);
    const evictable = [...this.#copies.values()].filter(
      ({ key, users }) => users === 0 && !keys.has(key),
    );
    const spare = evictable.reduce((sum, { bytes }) => sum + bytes, 0);
    if (this.#bytes - spare + missing > this.#options.bytesMax) return false;
    for (const copy of evictable) {
      if (this.#bytes + missing <= this.#options.bytesMax) break;
      this.#drop(copy);
    }
    return true;
  }

  #pinned({ key, bytes }: LocalFile): Copy {
    const found = this.#copies.get(key) ?? this.#fetched(key, bytes);
    found.users += 1;
    found.usedMs = Date.now();
    this.#copies.delete(key);
    this.#copies.set(key, found);
    return found;
  }

  #fetched(key: string, bytes: number): Copy {
    const name = createHash('sha256').update(key).digest('hex');
    const path = join(this.#options.dir, `${name}-${randomUUID()}.parquet`);
    const { promise: ready, resolve, reject } = Promise.withResolvers<string>();
    const nowMs = Date.now();
    const copy: Copy = {
      key,
      path,
      bytes,
      ready,
      users: 0,
      usedMs: nowMs,
      checkedMs: nowMs,
      generation: '',
    };
    this.#bytes += bytes;
    this.#download(copy).then(
      () => resolve(path),
      (error: unknown) => {
        this.#drop(copy);
        reject(error);
      },
    );
    ready.catch(() => undefined);
    return copy;
  }

  async #download(copy: Copy): Promise<void> {
    if (this.#downloads >= downloadsMax)
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    this.#downloads += 1;
    try {
      const { store } = this.#options;
      // In this order: content of a newer generation is then fetched once more, never taken for the older one.
      copy.generation = (await store.head(copy.key))?.generation ?? '';
      const content = await store.get(copy.key);
      if (!content) throw notThere();
      if (this.#isClosed) throw new PlatformError('UPSTREAM_UNAVAILABLE', 'Cannot copy: it ends');
      await written(copy.path, content);
    } finally {
      this.#downloads -= 1;
      this.#waiting.shift()?.();
    }
  }

  /** A copy in use keeps its file until the engine has done with it. */
  #drop(copy: Copy): void {
    // Its place is given back once: a download that fails may have been dropped on its way.
    if (this.#copies.get(copy.key) !== copy) return;
    this.#copies.delete(copy.key);
    this.#bytes -= copy.bytes;
    void this.#removed(copy);
  }

  async #removed(copy: Copy): Promise<void> {
    while (copy.users > 0) await this.#freed.promise;
    await rm(copy.path, { force: true });
  }

  #free(): void {
    this.#freed.resolve();
    this.#freed = Promise.withResolvers<void>();
  }

  #sweep(): void {
    const idleMs = Date.now() - this.#options.idleMs;
    for (const copy of this.#copies.values())
      if (copy.users === 0 && copy.usedMs < idleMs) this.#drop(copy);
    this.#free();
  }
}
