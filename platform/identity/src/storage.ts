import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { startLoop } from '@domicile/runtime/service.ts';
import type { Adapter, AdapterFactory, AdapterPayload } from 'oidc-provider';
import { z } from 'zod';
import { writePrivately } from './keys.ts';

const recordsMax = 20_000;
const saveEveryMs = 1_000;
/** A refresh token may be used again this long: two tabs, or an answer that was lost on its way. */
const reuseLeewaySeconds = 10;

interface Kept {
  readonly payload: AdapterPayload;
  /** Milliseconds since 1970. */
  readonly until: number;
}

const keptFile = z.array(
  z.tuple([
    z.string(),
    z.object({ payload: z.record(z.string(), z.unknown()), until: z.number() }),
  ]),
);

export interface Storage extends AsyncDisposable {
  readonly adapter: AdapterFactory;
}

/** Log-ins and refresh tokens of this issuer: in memory, bounded, and in a file that a restart reads. */
export async function openStorage(
  stateDir: string,
  fail: (error: unknown) => void,
  now = Date.now,
): Promise<Storage> {
  const file = join(stateDir, 'sessions.json');
  const records = new Map<string, Kept>(await readKept(file));
  let isChanged = false;
  const save = async () => {
    if (!isChanged) return;
    isChanged = false;
    drop(records, now());
    await writePrivately(file, JSON.stringify([...records]));
  };
  const saving = startLoop(async (signal) => {
    while (!signal.aborted) {
      await wait(saveEveryMs, undefined, { signal });
      await save();
    }
  }, fail);
  const changed = () => {
    isChanged = true;
    if (records.size > recordsMax) drop(records, now());
  };
  return {
    adapter: (model) => adapterOf(model, { records, changed, now }),
    async [Symbol.asyncDispose]() {
      await saving[Symbol.asyncDispose]();
      await save();
    },
  };
}

async function readKept(file: string): Promise<z.output<typeof keptFile>> {
  const text = await readFile(file, 'utf8').catch((error: unknown) => {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return '[]';
    throw error;
  });
  return keptFile.parse(JSON.parse(text));
}

/** What has ended goes, then the oldest, until there is room. */
function drop(records: Map<string, Kept>, now: number): void {
  for (const [key, { until }] of records) if (until <= now) records.delete(key);
  for (const key of records.keys()) {
    if (records.size <= recordsMax) break;
    records.delete(key);
  }
}

interface Shelf {
  readonly records: Map<string, Kept>;
  readonly changed: () => void;
  readonly now: () => number;
}

function adapterOf(model: string, { records, changed, now }: Shelf): Adapter {
  const keyOf = (id: string) => `${model}:${id}`;
  const find = async (id: string): Promise<AdapterPayload | undefined> => {
    const kept = records.get(keyOf(id));
    if (!kept || kept.until <= now()) return undefined;
    const { consumed, ...payload } = kept.payload;
    const isUsed =
      typeof consumed === 'number' &&
      !(model === 'RefreshToken' && now() / 1000 < consumed + reuseLeewaySeconds);
    return isUsed ? { ...payload, consumed } : payload;
  };
  const findBy = async (name: 'uid' | 'userCode', value: string) => {
    for (const [key, { payload }] of records)
      if (key.startsWith(`${model}:`) && payload[name] === value)
        return find(key.slice(model.length + 1));
    return undefined;
  };
  return {
    find,
    findByUid: (uid) => findBy('uid', uid),
    findByUserCode: (code) => findBy('userCode', code),
    async upsert(id, payload, expiresIn) {
      const until = now() + (expiresIn ?? 24 * 3600) * 1000;
      records.delete(keyOf(id));
      records.set(keyOf(id), { payload, until });
      changed();
    },
    async consume(id) {
      const kept = records.get(keyOf(id));
      if (!kept) return;
      const consumed = kept.payload.consumed ?? Math.floor(now() / 1000);
      records.set(keyOf(id), { ...kept, payload: { ...kept.payload, consumed } });
      changed();
    },
    async destroy(id) {
      records.delete(keyOf(id));
      changed();
    },
    async revokeByGrantId(grantId) {
      for (const [key, { payload }] of records)
        if (payload.grantId === grantId) records.delete(key);
      changed();
    },
  };
}
