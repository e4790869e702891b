/**
 * Bytes in memory of their own, for what is kept for long. A buffer of Node's pool, or a slice of what came from
 * a socket, keeps the whole 64 KiB or more around it from being freed.
 */
export function keptBytes(content: string | Buffer): Buffer {
  if (typeof content !== 'string') {
    const copy = Buffer.allocUnsafeSlow(content.length);
    content.copy(copy);
    return copy;
  }
  const bytes = Buffer.allocUnsafeSlow(Buffer.byteLength(content));
  bytes.write(content);
  return bytes;
}
