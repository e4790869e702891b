import type { IncomingHttpHeaders } from 'node:http';
import {
  bucketResource,
  createBucket,
  patchBucket,
  policyOf,
  rulesOf,
  setPolicy,
} from './gcs-buckets.ts';
import { badRequest, GcsFault, notFound } from './gcs-fault.ts';
import type { GcsCaller, GcsIdentities } from './gcs-identities.ts';
import {
  conditionsOf,
  listObjects,
  objectOf,
  objectResource,
  readNewObject,
} from './gcs-objects.ts';
import { isAllowed } from './gcs-policy.ts';
import { type GcsBucket, type GcsObject, type GcsState, requireConditions } from './gcs-state.ts';
import { GcsUploads, simpleUpload, type Upload } from './gcs-uploads.ts';

export interface GcsAsked {
  readonly method: string;
  readonly url: URL;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

export interface GcsAnswer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body: Buffer | string;
  /** Of an object's bytes: its whole checksum. */
  readonly isContent?: boolean;
}

const json = (value: unknown): GcsAnswer => ({
  status: 200,
  headers: { 'content-type': 'application/json; charset=UTF-8' },
  body: JSON.stringify(value),
});

/** The JSON API of Cloud Storage over a state: what is asked, by whom, and whether they may. */
export class GcsService {
  readonly #state: GcsState;
  readonly #identities: GcsIdentities;
  readonly #uploads = new GcsUploads();
  /** Where it is reached; known when it listens. */
  url = '';

  constructor(state: GcsState, identities: GcsIdentities) {
    this.#state = state;
    this.#identities = identities;
  }

  get tokenUri(): string {
    return `${this.url}/token`;
  }

  answer(asked: GcsAsked): GcsAnswer {
    const { method, url, body } = asked;
    const path = url.pathname.split('/').slice(1).map(decodeURIComponent);
    if (url.pathname === '/token' && method === 'POST')
      return json(
        JSON.parse(this.#identities.grant(new URLSearchParams(body.toString()), this.tokenUri)),
      );
    const caller = this.#identities.callerOf(asked.headers.authorization);
    if (path[0] === 'upload' && path[1] === 'storage') return this.#upload(asked, caller, path[4]);
    if (path[0] !== 'storage' || path[1] !== 'v1' || path[2] !== 'b') throw notFound('resource');
    const [, , , name, part, object, verb] = path;
    if (name === undefined || name === '') return this.#project(asked, caller);
    const bucket = this.#state.bucket(name);
    const of = { ...asked, caller, bucket };
    if (part === undefined) return this.#bucket(of);
    if (part === 'iam') return this.#policy(of);
    if (part !== 'o') throw notFound('resource');
    if (object === undefined) return this.#list(of);
    return this.#object({ ...of, name: object, verb });
  }

  #allow(caller: GcsCaller, bucket: GcsBucket, of: { permission: string; name?: string }): void {
    const place = `projects/_/buckets/${bucket.name}`;
    const resource = of.name === undefined ? place : `${place}/objects/${of.name}`;
    const permission = `storage.${of.permission}`;
    if (isAllowed(caller, bucket.bindings, { permission, resource })) return;
    const who = caller.member?.replace('serviceAccount:', '');
    if (who === undefined)
      throw new GcsFault(
        401,
        'required',
        `Anonymous caller does not have ${permission} access to the Google Cloud Storage resource.`,
      );
    throw new GcsFault(
      403,
      'forbidden',
      `${who} does not have ${permission} access to the Google Cloud Storage resource. Permission '${permission}' denied on resource (or it may not exist).`,
    );
  }

  #project({ method, body }: GcsAsked, caller: GcsCaller): GcsAnswer {
    if (!caller.isAdmin) throw new GcsFault(403, 'forbidden', 'Permission denied on the project.');
    if (method === 'POST') return json(bucketResource(createBucket(this.#state, parsed(body))));
    if (method !== 'GET') throw notFound('resource');
    const items = [...this.#state.buckets.values()].map(bucketResource);
    return json({ kind: 'storage#buckets', items });
  }

  #bucket({ method, url, body, caller, bucket }: OfBucket): GcsAnswer {
    if (method === 'GET') {
      this.#allow(caller, bucket, { permission: 'buckets.get' });
      return json(bucketResource(bucket));
    }
    if (method === 'PATCH') {
      this.#allow(caller, bucket, { permission: 'buckets.update' });
      patchBucket(bucket, parsed(body), conditionsOf(url.searchParams).ifMetagenerationMatch);
      return json(bucketResource(bucket));
    }
    if (method !== 'DELETE') throw notFound('resource');
    this.#allow(caller, bucket, { permission: 'buckets.delete' });
    if (bucket.live.size > 0)
      throw new GcsFault(409, 'conflict', 'The bucket you tried to delete is not empty.');
    this.#state.buckets.delete(bucket.name);
    return { status: 204, body: '' };
  }

  #policy({ method, url, body, caller, bucket }: OfBucket): GcsAnswer {
    const version = Number(url.searchParams.get('optionsRequestedPolicyVersion') ?? 1);
    if (method === 'GET') {
      this.#allow(caller, bucket, { permission: 'buckets.getIamPolicy' });
      return json(policyOf(bucket, version));
    }
    if (method !== 'PUT') throw notFound('resource');
    this.#allow(caller, bucket, { permission: 'buckets.setIamPolicy' });
    setPolicy(bucket, parsed(body));
    return json(policyOf(bucket, 3));
  }

  #list({ url, caller, bucket }: OfBucket): GcsAnswer {
    this.#allow(caller, bucket, { permission: 'objects.list' });
    return json(listObjects(this.#state, bucket, url.searchParams));
  }

  #object(of: OfObject): GcsAnswer {
    const { method, url, caller, bucket, name, verb } = of;
    if (method === 'POST' && verb === 'restore') return this.#restore(of);
    if (method === 'GET') {
      this.#allow(caller, bucket, { permission: 'objects.get', name });
      const object = objectOf(bucket, name, url.searchParams);
      requireConditions(object, conditionsOf(url.searchParams));
      if (url.searchParams.get('alt') === 'media') return contentOf(object, of.headers.range);
      return json(objectResource(bucket, object));
    }
    if (method === 'PATCH') {
      this.#allow(caller, bucket, { permission: 'objects.update', name });
      const object = objectOf(bucket, name, url.searchParams);
      requireConditions(object, conditionsOf(url.searchParams));
      object.metadata = { ...object.metadata, ...readNewObject(of.body.toString()).metadata };
      object.metageneration += 1;
      return json(objectResource(bucket, object));
    }
    if (method !== 'DELETE') throw notFound('resource');
    this.#allow(caller, bucket, { permission: 'objects.delete', name });
    const object = objectOf(bucket, name, url.searchParams);
    requireConditions(object, conditionsOf(url.searchParams));
    const named = url.searchParams.has('generation');
    this.#state.remove(bucket, object, { rules: rulesOf(bucket), named });
    return { status: 204, body: '' };
  }

  #restore({ url, caller, bucket, name }: OfObject): GcsAnswer {
    for (const permission of ['objects.restore', 'objects.create'])
      this.#allow(caller, bucket, { permission, name });
    const generation = BigInt(url.searchParams.get('generation') ?? '0');
    requireConditions(bucket.live.get(name), conditionsOf(url.searchParams));
    const rules = rulesOf(bucket);
    return json(objectResource(bucket, this.#state.restore(bucket, name, { generation, rules })));
  }

  #upload(asked: GcsAsked, caller: GcsCaller, name = ''): GcsAnswer {
    const { method, url, headers, body } = asked;
    const query = url.searchParams;
    const session = query.get('upload_id');
    if (session !== null) {
      if (method === 'DELETE') {
        this.#uploads.cancel(session);
        return { status: 499, body: '' };
      }
      const taken = this.#uploads.take(
        session,
        { range: headers['content-range'], body },
        (finished) => this.#put(finished),
      );
      if ('finished' in taken) return json(taken.finished);
      const { received } = taken;
      return {
        status: 308,
        headers: received > 0 ? { range: `bytes=0-${received - 1}` } : {},
        body: '',
      };
    }
    if (method !== 'POST') throw notFound('resource');
    const contentType = headers['content-type'] ?? '';
    if (query.get('uploadType') !== 'resumable')
      return json(
        this.#put({ caller, bucket: name, upload: simpleUpload({ query, contentType, body }) }),
      );
    const bucket = this.#state.bucket(name);
    this.#allow(caller, bucket, { permission: 'objects.create', name: query.get('name') ?? '' });
    requireConditions(bucket.live.get(query.get('name') ?? ''), conditionsOf(query));
    const opened = { bucket: name, query, body, owner: caller };
    const at = this.#uploads.open({
      ...opened,
      contentType: headers['x-upload-content-type']?.toString(),
    });
    return { status: 200, headers: { location: `${this.url}${at}` }, body: '' };
  }

  /** Replacing takes the right to delete too. */
  #put({ caller, bucket: into, upload }: Putting): unknown {
    const bucket = this.#state.bucket(into);
    const { object, conditions } = upload;
    const { name } = object;
    this.#allow(caller, bucket, { permission: 'objects.create', name });
    const live = bucket.live.get(name);
    requireConditions(live, conditions);
    if (live) this.#allow(caller, bucket, { permission: 'objects.delete', name });
    return objectResource(bucket, this.#state.put(bucket, object, rulesOf(bucket)));
  }
}

interface Putting {
  readonly caller: GcsCaller;
  readonly bucket: string;
  readonly upload: Upload;
}

interface OfBucket extends GcsAsked {
  readonly caller: GcsCaller;
  readonly bucket: GcsBucket;
}

interface OfObject extends OfBucket {
  readonly name: string;
  readonly verb: string | undefined;
}

function parsed(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString());
  } catch {
    throw badRequest('Parse Error');
  }
}

function contentOf(object: GcsObject, range: string | undefined): GcsAnswer {
  const content = object.content();
  const headers = {
    'content-type': object.contentType,
    'x-goog-generation': `${object.generation}`,
    'x-goog-metageneration': `${object.metageneration}`,
    'x-goog-stored-content-length': `${object.bytes}`,
    'x-goog-hash': `crc32c=${object.crc32c},md5=${object.md5}`,
    'accept-ranges': 'bytes',
  };
  const whole = { status: 200, headers, body: content, isContent: true };
  if (range === undefined) return whole;
  const [, first = '', last = ''] = /^bytes=(\d*)-(\d*)$/.exec(range) ?? [];
  if (first === '' && last === '') return whole;
  const start = first === '' ? Math.max(0, object.bytes - Number(last)) : Number(first);
  const end = first === '' || last === '' ? object.bytes : Math.min(Number(last) + 1, object.bytes);
  if (start >= object.bytes || end <= start)
    throw new GcsFault(416, 'requestedRangeNotSatisfiable', 'Request range not satisfiable');
  return {
    ...whole,
    status: 206,
    headers: { ...headers, 'content-range': `bytes ${start}-${end - 1}/${object.bytes}` },
    body: content.subarray(start, end),
  };
}
