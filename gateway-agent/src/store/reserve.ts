import { open, statfs, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { isNoSpace } from './files.ts';

const reserveBytes = 256 * 1024;
const blockBytes = 16 * 1024;

/**
 * Space set aside, so that on a full disk marks can still be written down and a store can still be opened: without
 * them nothing sent would ever be deleted, and the disk would stay full.
 */
export class Reserve {
  readonly #path: string;

  constructor(directory: string) {
    this.#path = join(directory, 'reserve');
  }

  /** Sets aside what is missing, if there is room for it and for what else a start needs. */
  async fill(): Promise<void> {
    const { bavail, bsize } = await statfs(dirname(this.#path));
    if (bavail * bsize < 4 * reserveBytes) return;
    await using file = await open(this.#path, 'a');
    let { size } = await file.stat();
    try {
      for (; size < reserveBytes; size += blockBytes)
        await file.appendFile(Buffer.alloc(blockBytes));
    } catch (error) {
      if (!isNoSpace(error)) throw error;
    }
  }

  /** Does what needs space; if there is none, gives the reserve up for it. */
  async spendFor<Result>(action: () => Promise<Result>): Promise<Result> {
    try {
      return await action();
    } catch (error) {
      if (!isNoSpace(error)) throw error;
      await unlink(this.#path).catch(() => undefined);
      return action();
    }
  }
}
