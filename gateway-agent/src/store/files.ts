import { type FileHandle, open, readFile, readdir, rename, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { crc32c } from '../model/crc32c.ts';
import { type Checkpoint, checkpointSchema } from '../model/recovery.ts';

const checkpointName = 'checkpoint.json';
const checkpointBefore = 'checkpoint.before';
const segmentPattern = /^(\d{16})\.(segment|sealed)$/;

export interface SegmentFile {
  /** Index of its first record. */
  readonly first: number;
  readonly path: string;
  readonly form: 'plain' | 'sealed';
}

export function segmentPath(directory: string, first: number): string {
  return join(directory, `${`${first}`.padStart(16, '0')}.segment`);
}

/** The packed form of a plain segment. */
export function sealedPath(path: string): string {
  return path.replace(/\.segment$/, '.sealed');
}

/** In order. Where a seal was cut short, both forms are there: the plain one counts. */
export async function listSegments(directory: string): Promise<SegmentFile[]> {
  const files = new Map<number, SegmentFile>();
  for (const name of (await readdir(directory)).toSorted()) {
    const [, digits, extension] = segmentPattern.exec(name) ?? [];
    if (digits === undefined) continue;
    const form = extension === 'sealed' ? 'sealed' : 'plain';
    files.set(Number(digits), { first: Number(digits), path: join(directory, name), form });
  }
  return [...files.values()].toSorted((left, right) => left.first - right.first);
}

/** The newest that can be read: a mark that is a little old only sends a little again. */
export async function readCheckpoint(
  directory: string,
): Promise<Checkpoint | 'absent' | 'unreadable'> {
  const newest = await readCheckpointFile(join(directory, checkpointName));
  if (typeof newest !== 'string') return newest;
  const before = await readCheckpointFile(join(directory, checkpointBefore));
  return before === 'absent' ? newest : before;
}

/** Of version 1 it has no checksum and begins with the JSON itself. */
async function readCheckpointFile(path: string): Promise<Checkpoint | 'absent' | 'unreadable'> {
  const bytes = await readFile(path).catch((error: unknown) => {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (bytes === undefined) return 'absent';
  try {
    const isPlain = bytes[0] === openingBrace;
    if (!isPlain && checksumOf(bytes.subarray(checksumLength)) !== checksumIn(bytes))
      return 'unreadable';
    const json = isPlain ? bytes : bytes.subarray(checksumLength);
    return checkpointSchema.parse(JSON.parse(json.toString()));
  } catch {
    return 'unreadable';
  }
}

const openingBrace = 0x7b;
/** CRC-32C of all that follows, in hexadecimal, and a line's end. */
const checksumLength = 9;

function checksumOf(bytes: Uint8Array): string {
  return `${crc32c(bytes).toString(16).padStart(8, '0')}\n`;
}

function checksumIn(bytes: Buffer): string {
  return bytes.toString('latin1', 0, checksumLength);
}

export async function writeCheckpoint(directory: string, checkpoint: Checkpoint): Promise<void> {
  const json = Buffer.from(JSON.stringify(checkpoint));
  const content = Buffer.concat([Buffer.from(checksumOf(json)), json]);
  await replaceFile(directory, checkpointName, content, checkpointBefore);
}

/**
 * Either the old content or the new one is there afterwards, whatever happens; resolves when it is on disk. With `keepAs` the
 * old one stays under that name.
 */
export async function replaceFile(
  directory: string,
  name: string,
  content: Buffer,
  keepAs?: string,
): Promise<void> {
  const temporary = join(directory, `${name}.new`);
  {
    await using file = await open(temporary, 'w');
    await file.writeFile(content);
    await file.datasync();
  }
  if (keepAs !== undefined) await keepOld(join(directory, name), join(directory, keepAs));
  await rename(temporary, join(directory, name));
  await syncDirectory(directory);
}

async function keepOld(path: string, as: string): Promise<void> {
  await rename(path, as).catch((error: unknown) => {
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error;
  });
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
