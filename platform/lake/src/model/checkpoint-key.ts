import type { LandedStream } from './landing-key.ts';

/** Copies of the manifests of a partition. What was copied before a building was erased stands in another folder. */
export interface CheckpointFolder {
  readonly stream: LandedStream;
  readonly partition: number;
  /** How often buildings were erased from the partition. */
  readonly erasures: number;
}

/** Of manifests that follow upon each other without a gap. */
export interface Checkpoint {
  readonly key: string;
  /** Offsets, both included. */
  readonly first: bigint;
  readonly last: bigint;
  readonly manifests: number;
  /** When the newest reading of its files was received, Unix milliseconds; 0 without files. */
  readonly receivedToMs: number;
}

/** Of all erasures. */
export function checkpointsOf({ stream, partition }: Omit<CheckpointFolder, 'erasures'>): string {
  return `landing/${stream}/v1/_checkpoints/${padded(partition, 5)}/`;
}

export function checkpointFolder(of: CheckpointFolder): string {
  return `${checkpointsOf(of)}${padded(of.erasures, 6)}/`;
}

/** The name says what readers may pass over, so that they need not read it. */
export function checkpointKey(folder: string, of: Omit<Checkpoint, 'key'>): string {
  const { first, last, manifests, receivedToMs } = of;
  return `${folder}${padded(first, 20)}-${padded(last, 20)}-${manifests}-${receivedToMs}.json.gz`;
}

/** Undefined for what is no name of a checkpoint. */
export function parseCheckpointKey(key: string): Checkpoint | undefined {
  const match = /\/(\d{20})-(\d{20})-(\d+)-(\d+)\.json\.gz$/.exec(key);
  const [, first = '', last = '', manifests, receivedToMs] = match ?? [];
  if (!match) return undefined;
  const of = { first: BigInt(first), last: BigInt(last) };
  return { key, ...of, manifests: Number(manifests), receivedToMs: Number(receivedToMs) };
}

/** The fewest that speak of everything from `from` on as far as possible, in their order; there may be gaps between them. */
export function chainOf(checkpoints: Iterable<Checkpoint>, from: bigint): Checkpoint[] {
  const rising = [...checkpoints].toSorted(
    (a, b) => Number(a.first - b.first) || Number(b.last - a.last),
  );
  const chain: Checkpoint[] = [];
  let next = from;
  for (const one of rising) {
    if (one.first < next) continue;
    chain.push(one);
    next = one.last + 1n;
  }
  return chain;
}

/** Those of a chain that follow upon each other from offset 0 on. */
export function withoutGap(chain: readonly Checkpoint[]): Checkpoint[] {
  let next = 0n;
  const end = chain.findIndex(({ first, last }) => {
    const isNext = first === next;
    next = last + 1n;
    return !isNext;
  });
  return chain.slice(0, end < 0 ? chain.length : end);
}

function padded(value: number | bigint, length: number): string {
  return `${value}`.padStart(length, '0');
}
