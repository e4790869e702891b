import type { Dropped } from './dropped.ts';
import { type DeviceNumbers, type Numbers, type Run, furthest } from './numbering.ts';

/** One row of the account: one run of one device. `to` of a dropped range belongs to it. */
export interface AccountRow {
  readonly device: string;
  readonly boot: string;
  readonly next: number;
  readonly dropped: readonly { from: number; to: number; reason: string }[];
  readonly previous?: Run;
}

export interface Account {
  /** RFC 3339. */
  readonly at: string;
  readonly devices: readonly AccountRow[];
}

export interface AccountSource {
  readonly atMs: number;
  /** The agent's run. */
  readonly boot: string;
  readonly numbers: Numbers;
  readonly dropped: readonly Dropped[];
}

/**
 * How far each numbering went, as contracts have it for `v1/{building}/gateway/account`. A run that ended is told
 * as `previous` of the one after it, and has a row of its own while something of it is newly dropped.
 */
export function accountOf({ atMs, boot, numbers, dropped }: AccountSource): Account {
  const devices = Object.entries(numbers).flatMap(([device, ofDevice]) =>
    runsOf(ofDevice, boot).flatMap(({ run, previous, ended }) => {
      const lost = dropped
        .filter((one) => one.device === device && one.boot === run.boot)
        .map(({ from, to, reason }) => ({ from, to, reason }));
      if (ended && lost.length === 0) return [];
      return chunksOf(lost, droppedPerRowMax).map((part) => ({
        device,
        ...run,
        dropped: part,
        ...(previous && { previous }),
      }));
    }),
  );
  return { at: new Date(atMs).toISOString(), devices };
}

/**
 * The account of an agent that has several stores, its own first. What devices numbered goes over all of them; what the agent
 * numbered is told store by store, as each is a run.
 */
export function accountOfStores(sources: readonly AccountSource[]): Account {
  const [main, ...older] = sources;
  if (!main) return { at: new Date(0).toISOString(), devices: [] };
  const passed = older.map(({ numbers }) => onlyPassed(numbers)).reduce(furthest, {});
  const merged = {
    ...main,
    numbers: furthest(passed, main.numbers),
    dropped: sources.flatMap(({ dropped }) => dropped),
  };
  const { at, devices } = accountOf(merged);
  const rows = older.flatMap((source) => {
    const ofOlder = accountOf({ ...source, numbers: onlyOwn(source.numbers) });
    return ofOlder.devices;
  });
  return { at, devices: [...rows, ...devices] };
}

function onlyPassed(numbers: Numbers): Numbers {
  return Object.fromEntries(
    Object.entries(numbers).flatMap(([device, { passed, passedBefore }]) =>
      passed ? [[device, { passed, ...(passedBefore && { passedBefore }) }]] : [],
    ),
  );
}

function onlyOwn(numbers: Numbers): Numbers {
  return Object.fromEntries(
    Object.entries(numbers).flatMap(([device, { own, ownBefore }]) =>
      own === undefined ? [] : [[device, { own, ...(ownBefore && { ownBefore }) }]],
    ),
  );
}

/** What core's schema of the account takes. */
const droppedPerRowMax = 1000;

/** At least one chunk, which may be empty. */
function chunksOf<Item>(items: readonly Item[], size: number): Item[][] {
  const chunks = [items.slice(0, size)];
  for (let from = size; from < items.length; from += size)
    chunks.push(items.slice(from, from + size));
  return chunks;
}

interface RunOfDevice {
  readonly run: Run;
  readonly previous?: Run;
  readonly ended: boolean;
}

function runsOf({ own, ownBefore, passed, passedBefore }: DeviceNumbers, boot: string) {
  const runs: RunOfDevice[] = [];
  for (const before of [ownBefore, passedBefore])
    if (before) runs.push({ run: before, ended: true });
  if (own !== undefined)
    runs.push({
      run: { boot, next: own },
      ...(ownBefore && { previous: ownBefore }),
      ended: false,
    });
  if (passed)
    runs.push({ run: passed, ...(passedBefore && { previous: passedBefore }), ended: false });
  return runs;
}

/**
 * The account in messages of at most `bytesMax`, cut between rows. A single row above it goes alone: the number of
 * its dropped ranges is bounded elsewhere.
 */
export function accountMessages({ at, devices }: Account, bytesMax: number): Account[] {
  const messages: AccountRow[][] = [[]];
  let bytes = 0;
  for (const row of devices) {
    const size = JSON.stringify(row).length + 1;
    const last = messages.at(-1) ?? [];
    if (bytes + size > bytesMax && last.length > 0) {
      messages.push([row]);
      bytes = size;
    } else {
      last.push(row);
      bytes += size;
    }
  }
  return messages.map((rows) => ({ at, devices: rows }));
}
