import type { Stats } from 'node:fs';

/** By what a reader knows that a file has changed: one that is written twice in one tick of the clock keeps its time. */
export function fileVersion({
  mtimeMs,
  size,
  ino,
}: Pick<Stats, 'mtimeMs' | 'size' | 'ino'>): string {
  return `${mtimeMs} ${size} ${ino}`;
}
