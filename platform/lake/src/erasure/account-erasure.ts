import { createHash } from 'node:crypto';
import { PlatformError } from '@domicile/core/errors.ts';
import {
  accountDataKey,
  accountSnapshotKey,
  landedAccountFolder,
  type LandedAccountSnapshot,
  padded,
  parseAccountData,
  parseAccountPointer,
  parseAccountSnapshot,
} from '../model/landed-account.ts';
import type { ErasableStore } from '../object-store.ts';
import {
  type ErasureCount,
  type ErasureRun,
  noErasure,
  oneObject,
  removeOlder,
} from './erasure-run.ts';
import type { ErasureTally } from './erasure-tally.ts';

/** Auditors may be faster now and then. */
const attemptsMax = 50;
/** As the report names it. */
export const accountKind = 'serving/account';

/**
 * Takes a building's counts out of the account of what has landed, as one more auditor: the others go on from this snapshot,
 * and what they counted of other buildings stands as it was.
 */
export async function eraseAccount(run: ErasureRun, tally?: ErasureTally): Promise<ErasureCount> {
  const { serving, building, signal } = run;
  for (let attempt = 1; attempt <= attemptsMax; attempt += 1) {
    signal.throwIfAborted();
    const newest = await newestSnapshot(serving);
    if (!newest) return noErasure();
    const { draft, objects } = await without(serving, newest, building);
    if (objects === 0) {
      await point(serving, newest.number);
      return noErasure();
    }
    const content = Buffer.from(JSON.stringify(draft));
    await tally?.note(accountKind, 'newest', { ...noErasure(), objects });
    if (!(await serving.createOnly(accountSnapshotKey(draft.number), content))) continue;
    await point(serving, draft.number);
    return { ...noErasure(), objects };
  }
  throw new PlatformError(
    'CONFLICT',
    'Cannot erase the account: auditors are always faster; stop the lander for a minute',
  );
}

/** Removes older snapshots and counts that speak of the building. */
export async function retireAccount(run: ErasureRun, tally?: ErasureTally): Promise<ErasureCount> {
  const newest = await newestSnapshot(run.serving);
  if (!newest) return noErasure();
  const kept = new Set(
    Object.values(newest.days).flatMap((days) => Object.values(days).map(accountDataKey)),
  );
  kept.add(accountSnapshotKey(newest.number));
  return removeOlder(run, {
    folder: landedAccountFolder,
    number: newest.number,
    kept,
    noted: (key) => tally?.note(accountKind, key, oneObject),
  });
}

async function newestSnapshot(serving: ErasableStore): Promise<LandedAccountSnapshot | undefined> {
  const pointer = await serving.get(`${landedAccountFolder}latest.json`);
  let number = pointer ? parseAccountPointer(pointer).number : 0;
  while (await serving.head(accountSnapshotKey(number + 1))) number += 1;
  const content = number === 0 ? undefined : await serving.get(accountSnapshotKey(number));
  return content && parseAccountSnapshot(content);
}

/** Also of files that only days of others refer to by now: they were written in one round for both. */
async function without(
  serving: ErasableStore,
  newest: LandedAccountSnapshot,
  building: string,
): Promise<{ draft: LandedAccountSnapshot; objects: number }> {
  const draft = structuredClone(newest);
  draft.number += 1;
  const names = new Set(Object.values(draft.days).flatMap((days) => Object.values(days)));
  delete draft.days[building];
  const successors = new Map<string, string>();
  for (const name of names) {
    const content = await serving.get(accountDataKey(name));
    const all = content ? parseAccountData(content).days : [];
    const days = all.filter((day) => day.building !== building);
    if (days.length === all.length) continue;
    const next = Buffer.from(JSON.stringify({ days }));
    const digest = createHash('sha256').update(next).digest('hex').slice(0, 16);
    const successor = `${padded(draft.number)}-${digest}`;
    if (days.length > 0) await serving.createOnly(accountDataKey(successor), next);
    successors.set(name, successor);
  }
  for (const days of Object.values(draft.days))
    for (const [day, name] of Object.entries(days)) days[day] = successors.get(name) ?? name;
  const isNamed = Object.hasOwn(newest.days, building);
  return { draft, objects: Math.max(successors.size, isNamed ? 1 : 0) };
}

/** The time of the last comparison stays: this was none. */
async function point(serving: ErasableStore, number: number): Promise<void> {
  const key = `${landedAccountFolder}latest.json`;
  const before = await serving.get(key);
  if (!before) return;
  const { verifiedAtMs, number: pointed } = parseAccountPointer(before);
  if (pointed >= number) return;
  const pointer = { number, snapshot: accountSnapshotKey(number), verifiedAtMs };
  await serving.replacePointer(key, Buffer.from(JSON.stringify(pointer)));
}
