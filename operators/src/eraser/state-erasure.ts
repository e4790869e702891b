import { setTimeout as sleep } from 'node:timers/promises';
import type { CountryCode } from '@domicile/core/countries.ts';
import { PlatformError } from '@domicile/core/errors.ts';
import { topicOf } from '@domicile/core/streams.ts';
import type { ClientOptions } from '@domicile/kafka/client-options.ts';
import { Joiner } from '@domicile/kafka/parts.ts';
import { beginOffsets, endOffsets, readRange } from '@domicile/kafka/topic-follower.ts';
import { z } from 'zod';

export interface StateOf {
  readonly client: ClientOptions;
  readonly country: CountryCode;
  readonly building: string;
  readonly partition: number;
}

export interface ForgettingOptions {
  readonly signal: AbortSignal;
  /** How long the task is waited for. */
  readonly timeoutMs?: number;
  /** Called first, with whether the task has something of the building. */
  readonly found: (isHeld: boolean) => Promise<void>;
}

const timeoutMsDefault = 300_000;
const pollMs = 1_000;
/** How far back from its end a partition is searched for a whole snapshot; doubled until one is found. */
const tailRecords = 16n;

/** A snapshot as far as it concerns us: its buildings, each beginning with its id (platform/stream). */
const snapshotSchema = z.object({
  buildings: z.array(z.tuple([z.string()]).rest(z.unknown())),
});

/**
 * Resolves when the newest snapshot of the partition's task holds nothing of the building, which its record in the registry asks
 * for (`erased`). Throws `UPSTREAM_UNAVAILABLE` if that does not come in time.
 */
export async function untilForgotten(
  of: StateOf,
  { signal, timeoutMs = timeoutMsDefault, found }: ForgettingOptions,
): Promise<void> {
  const endAt = performance.now() + timeoutMs;
  for (let isFirst = true; ; isFirst = false) {
    signal.throwIfAborted();
    const isHeld = await isInState(of);
    if (isFirst) await found(isHeld);
    if (!isHeld) return;
    if (performance.now() >= endAt)
      throw new PlatformError(
        'UPSTREAM_UNAVAILABLE',
        `Cannot erase: the task of partition ${of.partition} still has it in its state after ${timeoutMs} ms; see that the tasks run`,
      );
    await sleep(pollMs, undefined, { signal });
  }
}

/** Whether the newest snapshot of the partition's task names the building. */
export async function isInState({
  client,
  country,
  building,
  partition,
}: StateOf): Promise<boolean> {
  const topic = topicOf(country, 'state');
  const begin = (await beginOffsets({ client, topic }))[partition] ?? 0n;
  const ends = await endOffsets({ client, topic, isolation: 'uncommitted' });
  const end = ends[partition] ?? 0n;
  for (let back = tailRecords; ; back *= 2n) {
    const from = end - back > begin ? end - back : begin;
    const text =
      from < end
        ? await newestIn(readRange({ client, topic, partition, from, to: end }))
        : undefined;
    if (text !== undefined) {
      const { buildings } = snapshotSchema.parse(JSON.parse(text));
      return buildings.some(([id]) => id === building);
    }
    if (from <= begin) return false;
  }
}

type Batches = ReturnType<typeof readRange>;

/** The last text that is whole. */
async function newestIn(batches: Batches): Promise<string | undefined> {
  const joiner = new Joiner();
  let newest: { readonly commit: number; readonly text: string } | undefined;
  for await (const records of batches)
    for (const record of records) {
      const whole = joiner.add(record);
      if (whole !== undefined && whole.commit >= (newest?.commit ?? 0)) newest = whole;
    }
  return newest?.text;
}
