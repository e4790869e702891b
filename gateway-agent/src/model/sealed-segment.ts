import { z } from 'zod';
import { crc32c } from './crc32c.ts';
import type { Dropped } from './dropped.ts';

/*
 * A segment that is closed, packed. Little endian; every part has a checksum of its own, so that one flipped bit is
 * found wherever it is and costs one block at most:
 *
 *   head       0 magic, 4 version, 8 index of the first record (double), 16 CRC-32C of the 16 bytes before; 20 bytes
 *   blocks     0 magic, 4 packed bytes, 8 unpacked bytes, 12 records, 16 first index, 24 next index, 32 CRC-32C of the
 *              packed bytes, 36 of the 36 bytes before; then whole records as `record.ts` has them, packed by zstd
 *   directory  as a block with a magic of its own: JSON that names what is in each block, for when one cannot be read
 *   footer     0 magic, 4 zero, 8 bytes before the footer, 16 next index, 24 CRC-32C of all before it, 28 of the 28 bytes before
 *
 * Version 1 are the open segments of plain records: a store of an older agent is read as it is.
 */
export const sealedVersion = 2;
const magics = { head: 0x32534d44, block: 0x32424d44, directory: 0x32444d44, footer: 0x32464d44 };
const headBytes = 20;
const blockHeadBytes = 40;
const footerBytes = 32;

export interface BlockHead {
  readonly kind: 'block' | 'directory';
  readonly rawBytes: number;
  readonly records: number;
  /** Index of its first record, and one after its last. */
  readonly first: number;
  readonly next: number;
}

export interface PackedBlock extends BlockHead {
  /** What zstd made of it; undefined if its checksum says no. */
  readonly packed: Buffer | undefined;
}

export interface SealedSegment {
  /** Records' blocks, in order. What is missing between two of them cannot be read. */
  readonly blocks: readonly PackedBlock[];
  readonly directory: PackedBlock | undefined;
  /** Of the whole file: `right` proves that nothing in it has changed. */
  readonly checksum: 'right' | 'wrong';
  /** As the footer has it. */
  readonly next: number | undefined;
}

/** Numbers that a block holds, `from` up to and with `to`, of one run of one device. */
const namesSchema = z.array(z.tuple([z.string(), z.string(), z.number(), z.number()]));
const directorySchema = z.array(
  z.object({ first: z.number(), next: z.number(), names: namesSchema }),
);

export type Directory = z.output<typeof directorySchema>;

export function encodeSealedHead(first: number): Buffer {
  const bytes = Buffer.alloc(headBytes);
  bytes.writeUInt32LE(magics.head, 0);
  bytes.writeUInt32LE(sealedVersion, 4);
  bytes.writeDoubleLE(first, 8);
  bytes.writeUInt32LE(crc32c(bytes, 0, 16), 16);
  return bytes;
}

export function encodeBlock(head: BlockHead, packed: Uint8Array): Buffer {
  const bytes = Buffer.alloc(blockHeadBytes);
  bytes.writeUInt32LE(magics[head.kind], 0);
  bytes.writeUInt32LE(packed.length, 4);
  bytes.writeUInt32LE(head.rawBytes, 8);
  bytes.writeUInt32LE(head.records, 12);
  bytes.writeDoubleLE(head.first, 16);
  bytes.writeDoubleLE(head.next, 24);
  bytes.writeUInt32LE(crc32c(packed), 32);
  bytes.writeUInt32LE(crc32c(bytes, 0, 36), 36);
  return Buffer.concat([bytes, packed]);
}

/** `before` is all of the file that stands before it. */
export function encodeFooter(before: Uint8Array, next: number): Buffer {
  const bytes = Buffer.alloc(footerBytes);
  bytes.writeUInt32LE(magics.footer, 0);
  bytes.writeDoubleLE(before.length, 8);
  bytes.writeDoubleLE(next, 16);
  bytes.writeUInt32LE(crc32c(before), 24);
  bytes.writeUInt32LE(crc32c(bytes, 0, 28), 28);
  return bytes;
}

export function encodeDirectory(directory: Directory): Buffer {
  return Buffer.from(JSON.stringify(directory));
}

/** Undefined if it cannot be read. */
export function parseDirectory(raw: Uint8Array): Directory | undefined {
  try {
    return directorySchema.parse(JSON.parse(Buffer.from(raw).toString()));
  } catch {
    return undefined;
  }
}

/** Reads a sealed segment without unpacking it. Never throws for what stands in it. */
export function parseSealed(bytes: Buffer): SealedSegment {
  const blocks: PackedBlock[] = [];
  let directory: PackedBlock | undefined;
  let offset = findBlock(bytes, isSealedHead(bytes) ? headBytes : 0);
  while (offset !== -1) {
    const block = blockAt(bytes, offset);
    const end = offset + blockHeadBytes + bytes.readUInt32LE(offset + 4);
    if (block.kind === 'block') blocks.push(block);
    else directory = block;
    offset = findBlock(bytes, end);
  }
  const footer = footerOf(bytes);
  return {
    blocks,
    directory,
    checksum: isSealedHead(bytes) && footer?.isRight ? 'right' : 'wrong',
    next: footer?.next,
  };
}

function isSealedHead(bytes: Buffer): boolean {
  return (
    bytes.length >= headBytes &&
    bytes.readUInt32LE(0) === magics.head &&
    bytes.readUInt32LE(4) === sealedVersion &&
    bytes.readUInt32LE(16) === crc32c(bytes, 0, 16)
  );
}

/** The next place from `offset` on where the head of a block stands; −1 if there is none. */
function findBlock(bytes: Buffer, offset: number): number {
  if (isBlockHead(bytes, offset)) return offset;
  for (let at = offset + 1; at + blockHeadBytes <= bytes.length; at += 1) {
    at = bytes.indexOf('DM', at, 'latin1');
    if (at === -1) return -1;
    if (isBlockHead(bytes, at)) return at;
  }
  return -1;
}

function isBlockHead(bytes: Buffer, offset: number): boolean {
  if (offset + blockHeadBytes > bytes.length) return false;
  const magic = bytes.readUInt32LE(offset);
  return (
    (magic === magics.block || magic === magics.directory) &&
    bytes.readUInt32LE(offset + 36) === crc32c(bytes, offset, offset + 36)
  );
}

function blockAt(bytes: Buffer, offset: number): PackedBlock {
  const from = offset + blockHeadBytes;
  const packed = bytes.subarray(from, from + bytes.readUInt32LE(offset + 4));
  const isWhole = crc32c(packed) === bytes.readUInt32LE(offset + 32);
  return {
    kind: bytes.readUInt32LE(offset) === magics.block ? 'block' : 'directory',
    rawBytes: bytes.readUInt32LE(offset + 8),
    records: bytes.readUInt32LE(offset + 12),
    first: bytes.readDoubleLE(offset + 16),
    next: bytes.readDoubleLE(offset + 24),
    packed: isWhole ? packed : undefined,
  };
}

function footerOf(bytes: Buffer): { next: number; isRight: boolean } | undefined {
  const at = bytes.length - footerBytes;
  if (at < 0 || bytes.readUInt32LE(at) !== magics.footer) return undefined;
  if (bytes.readUInt32LE(at + 28) !== crc32c(bytes, at, at + 28)) return undefined;
  const isRight =
    bytes.readDoubleLE(at + 8) === at && bytes.readUInt32LE(at + 24) === crc32c(bytes, 0, at);
  return { next: bytes.readDoubleLE(at + 16), isRight };
}

/** Numbers of blocks that are not among the readable ones, as the directory names them. */
export function namedDamage(
  directory: Directory,
  isReadable: (first: number) => boolean,
): readonly Dropped[] {
  return directory
    .filter(({ first }) => !isReadable(first))
    .flatMap(({ names }) =>
      names.map(([device, boot, from, to]) => ({
        device,
        boot,
        from,
        to,
        reason: 'unreadable' as const,
      })),
    );
}
