import { createHash, randomUUID } from 'node:crypto';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { crc32cOf } from '@domicile/lake/model/crc32c.ts';
import { conditionNotMet, GcsFault, notFound } from './gcs-fault.ts';
import type { GcsBinding } from './gcs-policy.ts';

/** A version of an object. Times are Unix milliseconds. */
export interface GcsObject {
  readonly name: string;
  readonly generation: bigint;
  readonly bytes: number;
  /** Base64 of the four bytes in network order. */
  readonly crc32c: string;
  readonly md5: string;
  readonly createdMs: number;
  readonly contentType: string;
  metageneration: number;
  metadata: Readonly<Record<string, string>>;
  /** Of what was replaced or deleted. */
  endedMs?: number;
  hardDeleteMs?: number;
  content(): Buffer;
  forget(): void;
}

/** What a bucket resource says beside what the state itself keeps; fields as in the JSON API. */
export type GcsBucketFields = Readonly<Record<string, unknown>>;

export interface GcsBucket {
  readonly name: string;
  readonly createdMs: number;
  metageneration: number;
  fields: GcsBucketFields;
  bindings: readonly GcsBinding[];
  readonly live: Map<string, GcsObject>;
  /** Non-current versions, kept by versioning. */
  readonly noncurrent: GcsObject[];
  readonly softDeleted: GcsObject[];
}

export interface GcsBucketRules {
  readonly versioned: boolean;
  readonly retentionMs: number;
  readonly softDeleteMs: number;
}

export interface Preconditions {
  readonly ifGenerationMatch?: bigint | undefined;
  readonly ifGenerationNotMatch?: bigint | undefined;
  readonly ifMetagenerationMatch?: number | undefined;
}

/** Throws 412. A generation of 0 stands for "there is none". */
export function requireConditions(live: GcsObject | undefined, wanted: Preconditions): void {
  const generation = live?.generation ?? 0n;
  const { ifGenerationMatch, ifGenerationNotMatch, ifMetagenerationMatch } = wanted;
  if (
    (ifGenerationMatch !== undefined && ifGenerationMatch !== generation) ||
    (ifGenerationNotMatch !== undefined && ifGenerationNotMatch === generation) ||
    (ifMetagenerationMatch !== undefined && ifMetagenerationMatch !== live?.metageneration)
  )
    throw conditionNotMet();
}

export interface NewObject {
  readonly name: string;
  readonly content: Buffer;
  readonly contentType: string;
  readonly metadata: Readonly<Record<string, string>>;
}

/** Buckets and objects, in memory; contents in a folder if one is given. */
export class GcsState {
  readonly buckets = new Map<string, GcsBucket>();
  readonly #dir: string | undefined;
  readonly #now: () => number;
  #lastGeneration = 0n;

  constructor({ dir, now }: { readonly dir: string | undefined; readonly now: () => number }) {
    this.#dir = dir;
    this.#now = now;
    if (dir !== undefined) mkdirSync(dir, { recursive: true });
  }

  bucket(name: string): GcsBucket {
    const found = this.buckets.get(name);
    if (!found) throw notFound('bucket');
    return found;
  }

  addBucket(name: string, fields: GcsBucketFields): GcsBucket {
    const bucket: GcsBucket = {
      name,
      createdMs: this.#now(),
      metageneration: 1,
      fields,
      bindings: [],
      live: new Map(),
      noncurrent: [],
      softDeleted: [],
    };
    this.buckets.set(name, bucket);
    return bucket;
  }

  put(bucket: GcsBucket, given: NewObject, rules: GcsBucketRules): GcsObject {
    const before = bucket.live.get(given.name);
    if (before) this.#end(bucket, before, rules);
    const object = this.#made(given);
    bucket.live.set(given.name, object);
    return object;
  }

  /** Without `generation` what is live becomes non-current in a versioned bucket. */
  remove(
    bucket: GcsBucket,
    object: GcsObject,
    { rules, named }: { readonly rules: GcsBucketRules; readonly named: boolean },
  ): void {
    this.#end(bucket, object, named ? { ...rules, versioned: false } : rules);
    if (bucket.live.get(object.name) === object) bucket.live.delete(object.name);
    const at = bucket.noncurrent.indexOf(object);
    if (at >= 0 && named) bucket.noncurrent.splice(at, 1);
  }

  /** A copy of what was soft-deleted, of a new generation. */
  restore(bucket: GcsBucket, name: string, of: { generation: bigint; rules: GcsBucketRules }) {
    const found = this.softDeletedOf(bucket).find(
      (one) => one.name === name && one.generation === of.generation,
    );
    if (!found) throw notFound('object');
    const { contentType, metadata } = found;
    return this.put(bucket, { name, content: found.content(), contentType, metadata }, of.rules);
  }

  softDeletedOf(bucket: GcsBucket): readonly GcsObject[] {
    const now = this.#now();
    return bucket.softDeleted.filter(({ hardDeleteMs = 0 }) => hardDeleteMs > now);
  }

  #end(bucket: GcsBucket, object: GcsObject, rules: GcsBucketRules): void {
    const now = this.#now();
    if (object.createdMs + rules.retentionMs > now)
      throw new GcsFault(
        403,
        'retentionPolicyNotMet',
        `Object '${bucket.name}/${object.name}' is subject to bucket's retention policy and cannot be deleted or overwritten.`,
      );
    object.endedMs = now;
    if (rules.versioned) bucket.noncurrent.push(object);
    else if (rules.softDeleteMs > 0) {
      object.hardDeleteMs = now + rules.softDeleteMs;
      bucket.softDeleted.push(object);
    } else object.forget();
  }

  #made({ name, content, contentType, metadata }: NewObject): GcsObject {
    return {
      name,
      generation: this.#nextGeneration(),
      bytes: content.length,
      crc32c: Buffer.from(crc32cOf(content), 'hex').toString('base64'),
      md5: createHash('md5').update(content).digest('base64'),
      createdMs: this.#now(),
      contentType,
      metageneration: 1,
      metadata,
      ...this.#keep(content),
    };
  }

  #keep(content: Buffer): Pick<GcsObject, 'content' | 'forget'> {
    if (this.#dir === undefined) return { content: () => content, forget: () => undefined };
    const file = join(this.#dir, randomUUID());
    writeFileSync(file, content);
    return { content: () => readFileSync(file), forget: () => rmSync(file, { force: true }) };
  }

  /** Rises always; microseconds, as the real one's seem to be. */
  #nextGeneration(): bigint {
    const byClock = BigInt(Math.round(this.#now() * 1000));
    this.#lastGeneration = byClock > this.#lastGeneration ? byClock : this.#lastGeneration + 1n;
    return this.#lastGeneration;
  }
}
