import { z } from 'zod';
import { type Dropped, addDropped, dropOrderSchema, droppedSchema } from './dropped.ts';
import { type Numbers, furthest, numbersSchema, renewed } from './numbering.ts';
import { type Ranges, boundRanges, union, within } from './ranges.ts';
import type { SegmentScan } from './segment.ts';

/** A store's memory of what its segments do not say; written now and then, and always before something is deleted. */
export const checkpointSchema = z.object({
  version: z.literal(1),
  /** The agent's run: the store's id. */
  boot: z.string(),
  /** One after the newest record. */
  next: z.number(),
  /** What the cell has not acked, below `next`. */
  unsent: z.array(z.object({ from: z.number(), to: z.number() })),
  numbers: numbersSchema,
  dropped: z.array(droppedSchema),
  orders: z.array(dropOrderSchema),
});

export type Checkpoint = z.output<typeof checkpointSchema>;

/** Unsent ranges that are kept apart. */
export const unsentRangesMax = 64;

export interface Remains {
  readonly checkpoint: Checkpoint | 'absent' | 'unreadable';
  /** Index of the oldest record that a segment may hold; undefined without segments. */
  readonly first?: number;
  /** Scans of the newest segments, oldest first, from the newest whose head can be read. */
  readonly scans: readonly SegmentScan[];
  /** The run to begin, should one be needed. */
  readonly freshBoot: string;
}

export interface Recovered extends Checkpoint {
  /** Why the run is a new one; absent if it goes on. */
  readonly renewedFor?: string;
  /** Records that the checkpoint had seen and that are gone from the end. */
  readonly cut: number;
}

/**
 * Decides how a store goes on. The run goes on only if every number it gave is known, so that none is given twice:
 * a torn record at the end was never synced, hence neither acked nor sent, and is no reason to renew.
 */
export function recover(remains: Remains): Recovered {
  const { checkpoint, scans, freshBoot } = remains;
  const known = typeof checkpoint === 'string' ? undefined : checkpoint;
  const head = scans.find((scan) => scan.head)?.head;
  const nextRead = Math.max(0, ...scans.map(({ next }) => next));
  const boot = known?.boot ?? head?.boot ?? freshBoot;
  const numbersRead = scans.map((scan) => numbersOfRun(scan, boot)).reduce(furthest, {});
  const reason = reasonToRenew(remains, nextRead);
  const next = Math.max(nextRead, known?.next ?? 0);
  const numbers = furthest(known?.numbers ?? {}, numbersRead);
  const dropped = [
    ...scans.flatMap((scan) => scan.dropped),
    ...cutNumbers({
      boot,
      before: known?.numbers ?? {},
      read: numbersRead,
      cut: scans.length > 0 && (nextRead < (known?.next ?? 0) || hasNameless(scans)),
    }),
  ].reduce(addDropped, known?.dropped ?? []);
  return {
    version: 1,
    boot: reason === undefined ? boot : freshBoot,
    next,
    unsent: [...unsentOf(remains, nextRead)],
    numbers: reason === undefined ? numbers : renewed(numbers, boot),
    dropped: [...dropped],
    orders: known?.orders ?? [],
    cut: scans.length === 0 ? 0 : Math.max(0, (known?.next ?? 0) - nextRead),
    ...(reason !== undefined && { renewedFor: reason }),
  };
}

/** Records of the newest segment are gone that nothing in it names: the checkpoint may. */
function hasNameless(scans: readonly SegmentScan[]): boolean {
  return scans[0]?.head !== undefined && scans.some(({ unknown }) => unknown > 0);
}

function reasonToRenew(
  { checkpoint, first, scans }: Remains,
  nextRead: number,
): string | undefined {
  if (first === undefined && checkpoint === 'absent') return 'a new store';
  if (typeof checkpoint === 'string') return 'the checkpoint cannot be read';
  if (checkpoint.next > nextRead) return 'records are gone from the end';
  if (scans.some(({ ending }) => ending === 'lost')) return 'the end cannot be read';
  if (scans.some(({ unknown }) => unknown > 0)) return 'records cannot be read';
  if (scans.some(({ head }) => !head)) return 'the head of a segment cannot be read';
  return undefined;
}

/** A renewal writes the checkpoint first: the newest segment may still be of the run before. */
function numbersOfRun({ head, numbers }: SegmentScan, boot: string): Numbers {
  if (!head || head.boot === boot) return numbers;
  return Object.fromEntries(
    Object.entries(numbers).map(([device, { passed, passedBefore }]) => [
      device,
      { ...(passed && { passed }), ...(passedBefore && { passedBefore }) },
    ]),
  );
}

/** Own numbers that the checkpoint had seen given, and that no record shows any more. */
function cutNumbers(of: { boot: string; before: Numbers; read: Numbers; cut: boolean }): Dropped[] {
  if (!of.cut) return [];
  return Object.entries(of.before).flatMap(([device, { own = 0 }]) => {
    const known = of.read[device]?.own ?? 0;
    if (own <= known) return [];
    return [{ device, boot: of.boot, from: known, to: own - 1, reason: 'cut' as const }];
  });
}

function unsentOf({ checkpoint, first = 0 }: Remains, nextRead: number): Ranges {
  const onDisk = { from: first, to: nextRead };
  if (typeof checkpoint === 'string') return within([onDisk], onDisk);
  const newer = { from: Math.max(first, checkpoint.next), to: nextRead };
  return boundRanges(within(union(checkpoint.unsent, [newer]), onDisk), unsentRangesMax);
}
