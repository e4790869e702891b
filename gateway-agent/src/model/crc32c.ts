const polynomial = 0x82f63b78;

const table = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit += 1) value = (value >>> 1) ^ (value & 1 ? polynomial : 0);
  return value >>> 0;
});

/** CRC-32C (Castagnoli) of `bytes` from `from` up to `to`, as iSCSI has it (RFC 3720, appendix B.4). */
export function crc32c(bytes: Uint8Array, from = 0, to = bytes.length): number {
  let value = 0xffffffff;
  for (let index = from; index < to; index += 1)
    value = (value >>> 8) ^ (table[(value ^ (bytes[index] ?? 0)) & 0xff] ?? 0);
  return (value ^ 0xffffffff) >>> 0;
}
