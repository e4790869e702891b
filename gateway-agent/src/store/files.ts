import { type FileHandle, open, readFile, readdir, rename, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { type Checkpoint, checkpointSchema } from '../model/recovery.ts';

const checkpointName = 'checkpoint.json';
const segmentPattern = /^(\d{16})\.segment$/;

export interface SegmentFile {
  /** Index of its first record. */
  readonly first: number;
  readonly path: string;
}

export function segmentPath(directory: string, first: number): string {
  return join(directory, `${`${first}`.padStart(16, '0')}.segment`);
}

export async function listSegments(directory: string): Promise<SegmentFile[]> {
  const names = await readdir(directory);
  return names
    .flatMap((name) => {
      const first = segmentPattern.exec(name)?.[1];
      return first === undefined ? [] : [{ first: Number(first), path: join(directory, name) }];
    })
    .toSorted((left, right) => left.first - right.first);
}

export async function readCheckpoint(
  directory: string,
): Promise<Checkpoint | 'absent' | 'unreadable'> {
  const text = await readFile(join(directory, checkpointName), 'utf8').catch((error: unknown) => {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (text === undefined) return 'absent';
  try {
    return checkpointSchema.parse(JSON.parse(text));
  } catch {
    return 'unreadable';
  }
}

export async function writeCheckpoint(directory: string, checkpoint: Checkpoint): Promise<void> {
  await replaceFile(directory, checkpointName, Buffer.from(JSON.stringify(checkpoint)));
}

/** Either the old content or the new one is there afterwards, whatever happens; resolves when it is on disk. */
export async function replaceFile(directory: string, name: string, content: Buffer): Promise<void> {
  const temporary = join(directory, `${name}.new`);
  {
    await using file = await open(temporary, 'w');
    await file.writeFile(content);
    await file.datasync();
  }
  await rename(temporary, join(directory, name));
  await syncDirectory(directory);
}

/** No room on the disk, in the quota, or in one file. */
export function isNoSpace(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  return code === 'ENOSPC' || code === 'EDQUOT' || code === 'EFBIG';
}

/** All of it or an error: one call may write less than it was given, as on a disk that is nearly full. */
export async function writeAll(file: FileHandle, bytes: Buffer, position: number): Promise<void> {
  for (let done = 0; done < bytes.length;) {
    const { bytesWritten } = await file.write(bytes, done, bytes.length - done, position + done);
    done += bytesWritten;
  }
}

/** Files that were being written when an agent ended; nothing refers to them. */
export async function removeUnfinished(directory: string): Promise<void> {
  for (const name of await readdir(directory))
    if (name.endsWith('.new')) await unlink(join(directory, name));
}

export async function syncDirectory(directory: string): Promise<void> {
  await using handle = await open(directory, 'r');
  await handle.sync();
}
