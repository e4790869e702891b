/**
 * Which replica reads a place for a share group: every replica that knows the same others answers the same, and when one
 * comes or goes only what is its own moves (rendezvous hashing).
 * @returns undefined if there is none.
 */
export function readerOf(
  group: string,
  place: string,
  replicas: Iterable<string>,
): string | undefined {
  let reader: string | undefined;
  let highest = -1;
  for (const replica of replicas) {
    const weight = hash(`${group}\0${place}\0${replica}`);
    const isHigher = weight > highest || (weight === highest && replica > (reader ?? ''));
    if (!isHigher) continue;
    reader = replica;
    highest = weight;
  }
  return reader;
}

/** FNV-1a with a last mixing, 32 bits: ends that differ little spread well. */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (let at = 0; at < text.length; at += 1)
    value = Math.imul(value ^ text.charCodeAt(at), 0x01000193);
  value = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
  value = Math.imul(value ^ (value >>> 13), 0xc2b2ae35);
  return (value ^ (value >>> 16)) >>> 0;
}
