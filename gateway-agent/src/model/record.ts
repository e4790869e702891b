import { crc32c } from './crc32c.ts';
import type { Untimed } from './gateway-clock.ts';

/**
 * `segment` opens a segment: its body is a `SegmentHead`. `own` was numbered by the agent, `passed` by its device,
 * `opaque` could not be read as a reading and goes up as it came, for the cell to quarantine.
 */
export type RecordKind = 'segment' | 'own' | 'passed' | 'opaque';

/** `live` goes up at once; `history` was measured long ago and goes up beside it. */
export type Lane = 'live' | 'history';

export interface RecordHead {
  /** The record's place in the store, from 0, never used twice. */
  readonly index: number;
  readonly kind: RecordKind;
  readonly lane: Lane;
  readonly device: string;
  /** The run that its number belongs to; empty if it has none. */
  readonly boot: string;
  /** −1 if there is none. */
  readonly seq: number;
}

export interface StoredRecord extends RecordHead {
  readonly body: Buffer;
  /** It came before the time was known, and its body has none. */
  readonly untimed?: Untimed;
}

/** What stands at a place of a segment. */
export type Found =
  | { readonly what: 'record'; readonly record: StoredRecord; readonly end: number }
  /**
   * Damaged. With a head it is known which record that was, with an index only that there was one; without, the index
   * of the next one tells how many.
   */
  | {
      readonly what: 'damaged';
      readonly index?: number;
      readonly head?: RecordHead;
      readonly end: number;
    }
  /** A record that was never written whole: a sync was not answered for it. */
  | { readonly what: 'torn' }
  /** Damaged, and nothing after it can be read. */
  | { readonly what: 'lost' }
  | { readonly what: 'end' };

/*
 * Little endian: 0 magic, 4 body bytes, 8 index, 16 seq (doubles: exact up to 2^53), 24 kind, 25 lane, 26 device
 * bytes, 27 boot bytes, 28 CRC-32C of the body, 32 of the names, 36 of the 36 bytes before; names; body. The
 * body of an untimed record (lane + 128) begins with its boot, 16 bytes, and its monotonic ms, a double. The
 * lengths have a checksum of their own, so a flipped bit cannot make a whole record look torn.
 */
const magic = 0x31524d44;
const fixedBytes = 40;
const kinds: readonly RecordKind[] = ['segment', 'own', 'passed', 'opaque'];
const lanes: readonly Lane[] = ['live', 'history'];
const untimedFlag = 0x80;
const untimedBytes = 24;

export function encodedBytesOf({ device, boot, body, untimed }: StoredRecord): number {
  return fixedBytes + device.length + boot.length + (untimed ? untimedBytes : 0) + body.length;
}

/** Device and boot are ASCII of at most 255 characters: core's ids are. */
export function encodeRecord(record: StoredRecord): Buffer {
  const { device, boot, body, untimed } = record;
  const bytes = Buffer.allocUnsafe(encodedBytesOf(record));
  const bodyAt = fixedBytes + device.length + boot.length;
  bytes.write(device, fixedBytes, 'latin1');
  bytes.write(boot, fixedBytes + device.length, 'latin1');
  if (untimed) {
    bytes.write(untimed.osBoot.replaceAll('-', ''), bodyAt, 16, 'hex');
    bytes.writeDoubleLE(untimed.monotonicMs, bodyAt + 16);
  }
  body.copy(bytes, bytes.length - body.length);
  bytes.writeUInt32LE(magic, 0);
  bytes.writeUInt32LE(bytes.length - bodyAt, 4);
  bytes.writeDoubleLE(record.index, 8);
  bytes.writeDoubleLE(record.seq, 16);
  bytes[24] = kinds.indexOf(record.kind);
  bytes[25] = lanes.indexOf(record.lane) | (untimed ? untimedFlag : 0);
  bytes[26] = device.length;
  bytes[27] = boot.length;
  bytes.writeUInt32LE(crc32c(bytes, bodyAt), 28);
  bytes.writeUInt32LE(crc32c(bytes, fixedBytes, bodyAt), 32);
  bytes.writeUInt32LE(crc32c(bytes, 0, 36), 36);
  return bytes;
}

/** Reads what stands at `offset`; after damage it looks for the next readable record. Pure, bounded by `bytes`. */
export function findRecord(bytes: Buffer, offset: number): Found {
  if (offset >= bytes.length) return { what: 'end' };
  if (bytes.length - offset < fixedBytes) return { what: 'torn' };
  if (!isHeadAt(bytes, offset)) return afterDamage(bytes, offset);
  const bodyAt = offset + fixedBytes + (bytes[offset + 26] ?? 0) + (bytes[offset + 27] ?? 0);
  const end = bodyAt + bytes.readUInt32LE(offset + 4);
  if (end > bytes.length) return { what: 'torn' };
  if (crc32c(bytes, offset + fixedBytes, bodyAt) !== bytes.readUInt32LE(offset + 32))
    return { what: 'damaged', index: bytes.readDoubleLE(offset + 8), end };
  const head = headAt(bytes, offset);
  if (crc32c(bytes, bodyAt, end) !== bytes.readUInt32LE(offset + 28))
    return { what: 'damaged', head, end };
  if (((bytes[offset + 25] ?? 0) & untimedFlag) === 0 || end - bodyAt < untimedBytes)
    return { what: 'record', record: { ...head, body: bytes.subarray(bodyAt, end) }, end };
  const untimed = untimedAt(bytes, bodyAt);
  const body = bytes.subarray(bodyAt + untimedBytes, end);
  return { what: 'record', record: { ...head, body, untimed }, end };
}

/** Boots of a machine are UUIDs. */
function untimedAt(bytes: Buffer, at: number): Untimed {
  const hex = bytes.toString('hex', at, at + 16);
  const parts = [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20)];
  const osBoot = [...parts, hex.slice(20)].join('-');
  return { osBoot, monotonicMs: bytes.readDoubleLE(at + 16) };
}

function isHeadAt(bytes: Buffer, offset: number): boolean {
  return (
    offset + fixedBytes <= bytes.length &&
    bytes.readUInt32LE(offset) === magic &&
    crc32c(bytes, offset, offset + 36) === bytes.readUInt32LE(offset + 36)
  );
}

function headAt(bytes: Buffer, offset: number): RecordHead {
  const deviceEnd = offset + fixedBytes + (bytes[offset + 26] ?? 0);
  return {
    index: bytes.readDoubleLE(offset + 8),
    seq: bytes.readDoubleLE(offset + 16),
    kind: kinds[bytes[offset + 24] ?? 0] ?? 'opaque',
    lane: lanes[(bytes[offset + 25] ?? 0) & ~untimedFlag] ?? 'live',
    device: bytes.toString('latin1', offset + fixedBytes, deviceEnd),
    boot: bytes.toString('latin1', deviceEnd, deviceEnd + (bytes[offset + 27] ?? 0)),
  };
}

const magicBytes = Buffer.from([0x44, 0x4d, 0x52, 0x31]);

function afterDamage(bytes: Buffer, offset: number): Found {
  // A file whose length reached the disk before its content ends in zeros.
  if (bytes.subarray(offset).every((byte) => byte === 0)) return { what: 'torn' };
  let at = bytes.indexOf(magicBytes, offset + 1);
  while (at !== -1 && !isHeadAt(bytes, at)) at = bytes.indexOf(magicBytes, at + 1);
  return at === -1 ? { what: 'lost' } : { what: 'damaged', end: at };
}
