import { open, rename, stat, utimes } from 'node:fs/promises';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import { constants, zstdCompress } from 'node:zlib';
import { type StoredRecord, findRecord } from '../model/record.ts';
import {
  type BlockHead,
  type Directory,
  encodeBlock,
  encodeDirectory,
  encodeFooter,
  encodeSealedHead,
} from '../model/sealed-segment.ts';
import { sealedPath, syncDirectory, writeAll } from './files.ts';
import { type Segment, readBytes } from './segment-file.ts';

/** What one flipped bit costs at most; larger packs better. */
const blockBytesMin = 64 * 1024;
const compress = promisify(zstdCompress);
const params = { [constants.ZSTD_c_compressionLevel]: 3 };

/**
 * Packs a closed segment into a file of its own beside it, and removes the plain one when that is on disk. Undefined if something
 * in it cannot be read: it stays as it is, and is accounted for when it is read. Throws what the disk throws.
 */
export async function sealSegment(segment: Segment): Promise<Segment | undefined> {
  const raw = await readBytes(segment.path, 0, segment.bytes);
  const sealed = await pack(raw, segment.first);
  if (!sealed) return undefined;
  const path = sealedPath(segment.path);
  const { mtime } = await stat(segment.path);
  {
    await using file = await open(`${path}.new`, 'w');
    await writeAll(file, sealed, 0);
    await file.datasync();
  }
  // The age of a segment is that of its newest record.
  await utimes(`${path}.new`, mtime, mtime);
  await rename(`${path}.new`, path);
  await syncDirectory(dirname(path));
  return { ...segment, path, bytes: sealed.length, form: 'sealed' };
}

async function pack(raw: Buffer, first: number): Promise<Buffer | undefined> {
  const parts: Buffer[] = [encodeSealedHead(first)];
  const directory: Directory = [];
  let at = 0;
  let next = first;
  while (at < raw.length) {
    const block = blockFrom(raw, at, next);
    if (!block) return undefined;
    const { bytes, head } = block;
    parts.push(encodeBlock(head, await compress(bytes, { params })));
    directory.push({ first: head.first, next: head.next, names: block.names });
    at += bytes.length;
    ({ next } = head);
  }
  const names = encodeDirectory(directory);
  const head = { kind: 'directory' as const, rawBytes: names.length, records: 0, first, next };
  parts.push(encodeBlock(head, await compress(names, { params })));
  const before = Buffer.concat(parts);
  return Buffer.concat([before, encodeFooter(before, next)]);
}

interface Block {
  readonly bytes: Buffer;
  readonly head: BlockHead;
  readonly names: Directory[number]['names'];
}

/** Whole records from `at` on. Undefined if one of them cannot be read. */
function blockFrom(raw: Buffer, at: number, first: number): Block | undefined {
  const names = new Names();
  let end = at;
  let next = first;
  let records = 0;
  while (end < raw.length && end - at < blockBytesMin) {
    const found = findRecord(raw, end);
    if (found.what !== 'record') return undefined;
    ({ end } = found);
    records += 1;
    if (found.record.kind === 'segment') continue;
    next = found.record.index + 1;
    names.add(found.record);
  }
  const head = { kind: 'block' as const, rawBytes: end - at, records, first, next };
  return { bytes: raw.subarray(at, end), head, names: names.list };
}

/** Numbers as ranges: of one run of one device they mostly follow each other. */
class Names {
  readonly list: Directory[number]['names'] = [];
  readonly #open = new Map<string, [string, string, number, number]>();

  add({ device, boot, seq }: StoredRecord): void {
    if (seq < 0) return;
    const key = `${device} ${boot}`;
    const last = this.#open.get(key);
    if (last && last[3] + 1 === seq) {
      last[3] = seq;
      return;
    }
    const range: [string, string, number, number] = [device, boot, seq, seq];
    this.#open.set(key, range);
    this.list.push(range);
  }
}
