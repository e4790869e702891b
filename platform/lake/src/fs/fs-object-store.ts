import { createHash, randomUUID } from 'node:crypto';
import {
  constants,
  type FileHandle,
  link,
  mkdir,
  open,
  readdir,
  rename,
  rm,
  stat,
} from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { PlatformError } from '@domicile/core/errors.ts';
import { requireKey, requirePointer, requirePrefix } from '../model/object-key.ts';
import type { ByteRange, ErasableStore, ObjectHead } from '../object-store.ts';
import { isFault, storeFault } from './fs-faults.ts';
import { withLock } from './fs-lock.ts';

/** Not a key, so no reader comes upon what is half written. */
const incoming = '.incoming';

/** What is older was left behind by a process that was killed. */
const abandonedMs = 3_600_000;

/**
 * Objects as files below a folder of a local or network file system that has hard links. A crash may leave files in
 * `.incoming`; they are no objects, and a writer removes them after an hour.
 */
export class FsObjectStore implements ErasableStore {
  readonly #root: string;
  readonly #foldersMade = new Set<string>();
  #cleaned: Promise<void> | undefined;

  constructor(root: string) {
    this.#root = root;
  }

  async createOnly(key: string, content: Uint8Array): Promise<boolean> {
    const path = this.#pathOf(requireKey(key));
    return guarded(async () => {
      const temporary = await this.#writeTemporary(content);
      try {
        await this.#makeFolder(dirname(path));
        const created = await linked(temporary, path);
        // Also when it was there: whoever made it may have been killed before its name was durable.
        await syncFolder(dirname(path));
        return created;
      } finally {
        await rm(temporary, { force: true });
      }
    });
  }

  async get(key: string): Promise<Buffer | undefined> {
    return this.#opened(key, async (file) => file.readFile());
  }

  async getRange(key: string, { start, end }: ByteRange): Promise<Buffer> {
    const found = await this.#opened(key, async (file) => {
      const { size } = await file.stat();
      if (start < 0 || end < start || end > size)
        throw new PlatformError('RANGE_NOT_SATISFIABLE', 'Cannot read beyond the end of an object');
      return readFully(file, { start, end });
    });
    if (found) return found;
    throw new PlatformError('NOT_FOUND', 'Cannot read: there is no such object');
  }

  async head(key: string): Promise<ObjectHead | undefined> {
    return this.#opened(key, async (file) => {
      const { size, mtimeNs, ino } = await file.stat({ bigint: true });
      return { key, bytes: Number(size), generation: `${mtimeNs}-${ino}` };
    });
  }

  async list(prefix: string, page: { after?: string; limit: number }): Promise<string[]> {
    requirePrefix(prefix);
    const found: string[] = [];
    await guarded(async () => this.#listInto(found, prefix, page));
    return found;
  }

  async replacePointer(key: string, content: Uint8Array): Promise<void> {
    const path = this.#pathOf(requirePointer(key));
    await guarded(async () => {
      const temporary = await this.#writeTemporary(content);
      await this.#makeFolder(dirname(path));
      await rename(temporary, path);
      await syncFolder(dirname(path));
    });
  }

  async replace(key: string, content: Uint8Array, ifGeneration: string): Promise<boolean> {
    const path = this.#pathOf(requireKey(key));
    return guarded(async () => {
      if ((await this.head(key))?.generation !== ifGeneration) return false;
      const temporary = await this.#writeTemporary(content);
      try {
        return await this.#locked(key, async () => {
          if ((await this.head(key))?.generation !== ifGeneration) return false;
          await rename(temporary, path);
          await syncFolder(dirname(path));
          return true;
        });
      } finally {
        await rm(temporary, { force: true });
      }
    });
  }

  async remove(key: string, ifGeneration: string): Promise<boolean> {
    const path = this.#pathOf(requireKey(key));
    return guarded(async () =>
      this.#locked(key, async () => {
        const found = await this.head(key);
        if (!found) return true;
        if (found.generation !== ifGeneration) return false;
        await rm(path, { force: true });
        await syncFolder(dirname(path));
        return true;
      }),
    );
  }

  /** A file system compares and renames in two steps. */
  async #locked<Value>(key: string, work: () => Promise<Value>): Promise<Value> {
    const folder = join(this.#root, incoming);
    await this.#makeFolder(folder);
    await this.#clean(folder);
    return withLock(join(folder, `lock-${createHash('sha256').update(key).digest('hex')}`), work);
  }

  /** Once; if it fails, the next writer tries again. */
  async #clean(folder: string): Promise<void> {
    this.#cleaned ??= removeAbandoned(folder).catch((error: unknown) => {
      this.#cleaned = undefined;
      throw error;
    });
    await this.#cleaned;
  }

  #pathOf(key: string): string {
    return join(this.#root, key);
  }

  /** Undefined if it is not there, is no file, or is a link. */
  async #opened<Value>(
    key: string,
    use: (file: FileHandle) => Promise<Value>,
  ): Promise<Value | undefined> {
    const path = this.#pathOf(requireKey(key));
    return guarded(async () => {
      try {
        await using file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW);
        return (await file.stat()).isFile() ? await use(file) : undefined;
      } catch (error) {
        if (isFault(error, 'ENOENT', 'ENOTDIR', 'ELOOP')) return undefined;
        throw error;
      }
    });
  }

  async #writeTemporary(content: Uint8Array): Promise<string> {
    await this.#makeFolder(join(this.#root, incoming));
    await this.#clean(join(this.#root, incoming));
    const path = join(this.#root, incoming, randomUUID());
    try {
      await using file = await open(path, 'wx');
      await file.writeFile(content);
      await file.sync();
    } catch (error) {
      await rm(path, { force: true });
      throw error;
    }
    return path;
  }

  /** With the names of all folders on the way durable. */
  async #makeFolder(folder: string): Promise<void> {
    if (this.#foldersMade.has(folder)) return;
    const first = await mkdir(folder, { recursive: true });
    if (first !== undefined)
      for (let made = folder; made.length >= first.length; made = dirname(made))
        await syncFolder(dirname(made));
    this.#foldersMade.add(folder);
  }

  async #listInto(
    found: string[],
    folder: string,
    page: { after?: string; limit: number },
  ): Promise<void> {
    const { after = '', limit } = page;
    const names = await namesIn(this.#pathOf(folder));
    for (const name of names) {
      if (found.length >= limit) return;
      const key = `${folder}${name}`;
      if (!name.endsWith('/')) {
        if (key > after) found.push(key);
      } else if (key > after || after.startsWith(key)) {
        await this.#listInto(found, key, page);
      }
    }
  }
}

/** Files, and folders with a slash behind, in the order of the keys that they lead to. */
async function namesIn(path: string): Promise<string[]> {
  try {
    const entries = await readdir(path, { withFileTypes: true });
    return entries
      .filter((entry) => !entry.name.startsWith('.') && (entry.isFile() || entry.isDirectory()))
      .map((entry) => (entry.isDirectory() ? `${entry.name}/` : entry.name))
      .toSorted();
  } catch (error) {
    if (isFault(error, 'ENOENT', 'ENOTDIR')) return [];
    throw error;
  }
}

async function readFully(file: FileHandle, { start, end }: ByteRange): Promise<Buffer> {
  const content = Buffer.allocUnsafe(end - start);
  let filled = 0;
  while (filled < content.length) {
    const { bytesRead } = await file.read(content, filled, content.length - filled, start + filled);
    if (bytesRead === 0)
      throw new PlatformError('UPSTREAM_UNAVAILABLE', 'Cannot read: an object became shorter');
    filled += bytesRead;
  }
  return content;
}

async function linked(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to);
    return true;
  } catch (error) {
    if (isFault(error, 'EEXIST')) return false;
    throw error;
  }
}

async function syncFolder(path: string): Promise<void> {
  await using folder = await open(path, constants.O_RDONLY);
  await folder.sync();
}

async function removeAbandoned(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    const path = join(folder, name);
    // Another writer may be about to name it, or remove it.
    const found = await stat(path).catch(() => undefined);
    if (found && Date.now() - found.mtimeMs > abandonedMs) await rm(path, { force: true });
  }
}

async function guarded<Value>(work: () => Promise<Value>): Promise<Value> {
  try {
    return await work();
  } catch (error) {
    throw storeFault(error);
  }
}
