import { z } from 'zod';
import { badRequest, GcsFault } from './gcs-fault.ts';
import type { GcsBucket, GcsObject, GcsState, Preconditions } from './gcs-state.ts';

/** The most names that a page holds; of the real one too. */
const pageNamesMax = 1_000;

export function conditionsOf(query: URLSearchParams): Preconditions {
  const number = (name: string): bigint | undefined => {
    const text = query.get(name);
    if (text === null) return undefined;
    if (!/^\d{1,19}$/.test(text)) throw badRequest(`Invalid value for ${name}.`);
    return BigInt(text);
  };
  const metageneration = number('ifMetagenerationMatch');
  return {
    ifGenerationMatch: number('ifGenerationMatch'),
    ifGenerationNotMatch: number('ifGenerationNotMatch'),
    ifMetagenerationMatch: metageneration === undefined ? undefined : Number(metageneration),
  };
}

/** The version that is asked for: live without `generation`. Throws 404. */
export function objectOf(bucket: GcsBucket, name: string, query: URLSearchParams): GcsObject {
  const generation = query.get('generation');
  const live = bucket.live.get(name);
  const found =
    generation === null
      ? live
      : [...(live ? [live] : []), ...bucket.noncurrent].find(
          (one) => one.name === name && `${one.generation}` === generation,
        );
  if (!found) throw new GcsFault(404, 'notFound', `No such object: ${bucket.name}/${name}`);
  return found;
}

const time = (ms: number): string => new Date(ms).toISOString();

export function objectResource(bucket: GcsBucket, object: GcsObject) {
  const { name, generation, createdMs, endedMs, hardDeleteMs } = object;
  return {
    kind: 'storage#object',
    id: `${bucket.name}/${name}/${generation}`,
    name,
    bucket: bucket.name,
    generation: `${generation}`,
    metageneration: `${object.metageneration}`,
    contentType: object.contentType,
    storageClass: 'STANDARD',
    size: `${object.bytes}`,
    md5Hash: object.md5,
    crc32c: object.crc32c,
    timeCreated: time(createdMs),
    updated: time(createdMs),
    metadata: object.metadata,
    ...(hardDeleteMs === undefined
      ? endedMs !== undefined && { timeDeleted: time(endedMs) }
      : { softDeleteTime: time(endedMs ?? 0), hardDeleteTime: time(hardDeleteMs) }),
  };
}

/** A page of names by rising bytes; `pageToken` is the last name of the page before. */
export function listObjects(state: GcsState, bucket: GcsBucket, query: URLSearchParams) {
  const prefix = query.get('prefix') ?? '';
  const [from, to] = [query.get('startOffset') ?? '', query.get('endOffset')];
  const token = query.get('pageToken');
  const after = token === null ? undefined : Buffer.from(token, 'base64url').toString();
  const all = versionsOf(state, bucket, query)
    .filter(
      ({ name }) =>
        name.startsWith(prefix) &&
        name >= from &&
        (to === null || name < to) &&
        (after === undefined || name > after),
    )
    .toSorted((a, b) =>
      a.name < b.name || (a.name === b.name && a.generation < b.generation) ? -1 : 1,
    );
  const wanted = Number(query.get('maxResults') ?? pageNamesMax);
  const page = all.slice(0, Math.min(Math.max(1, wanted), pageNamesMax));
  const last = page.at(-1);
  return {
    kind: 'storage#objects',
    items: page.map((object) => objectResource(bucket, object)),
    ...(last &&
      page.length < all.length && { nextPageToken: Buffer.from(last.name).toString('base64url') }),
  };
}

function versionsOf(state: GcsState, bucket: GcsBucket, query: URLSearchParams) {
  if (query.get('softDeleted') === 'true') return [...state.softDeletedOf(bucket)];
  const live = [...bucket.live.values()];
  return query.get('versions') === 'true' ? [...live, ...bucket.noncurrent] : live;
}

export const newObjectSchema = z.looseObject({
  name: z.string().optional(),
  contentType: z.string().optional(),
  metadata: z.record(z.string(), z.string()).default({}),
  crc32c: z.string().optional(),
  md5Hash: z.string().optional(),
});
export type NewObjectFields = z.output<typeof newObjectSchema>;

/** What an upload says of itself before its bytes. Throws 400. */
export function readNewObject(text: string): NewObjectFields {
  try {
    return newObjectSchema.parse(JSON.parse(text === '' ? '{}' : text));
  } catch {
    throw badRequest('Invalid object resource.');
  }
}
