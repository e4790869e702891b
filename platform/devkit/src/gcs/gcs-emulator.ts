import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { rulesOf } from './gcs-buckets.ts';
import { GcsFault } from './gcs-fault.ts';
import { GcsFaults, type GcsTrouble } from './gcs-faults.ts';
import { GcsIdentities } from './gcs-identities.ts';
import { overOf } from './gcs-lifecycle.ts';
import { type GcsAnswer, GcsService } from './gcs-service.ts';
import { type GcsBucket, GcsState } from './gcs-state.ts';

export interface GcsEmulatorOptions {
  /** 0, the default, takes a free one. */
  readonly port?: number;
  /** For the contents of objects; memory without it. Nothing is read from it at a start: the state ends with the process. */
  readonly dir?: string;
  /** Service accounts by their names. They may do nothing until a bucket's policy says so. */
  readonly identities: readonly string[];
  /** Those of them that may do everything; by default none. */
  readonly admins?: readonly string[];
  /** The clock of buckets and objects; tokens go by this machine's. */
  readonly now?: () => number;
}

const requestsKeptMax = 1_000;

/**
 * Cloud Storage on this machine's loopback, as far as this project speaks to it: buckets with a place, policies and metageneration;
 * objects with generations, preconditions, checksums, ranges, resumable uploads and soft deletion; service accounts with keys. It
 * is made after Google's reference, not compared with the real service: what it proves of an adapter is proved as far as the
 * reference is read right. Life-cycle rules are carried out when it is told to.
 */
export class GcsEmulator implements AsyncDisposable {
  readonly faults = new GcsFaults();
  readonly #now: () => number;
  readonly #identities: GcsIdentities;
  readonly #state: GcsState;
  readonly #service: GcsService;
  readonly #server: Server;
  /** Requests answered so far, those refused with 401 or 403, and those carried out late. */
  readonly counts = { answered: 0, refused: 0, late: 0 };
  /** Methods and targets of the last requests. */
  readonly requests: string[] = [];

  static async start(options: GcsEmulatorOptions): Promise<GcsEmulator> {
    const emulator = new GcsEmulator(options);
    emulator.#server.listen(options.port ?? 0, '127.0.0.1');
    await once(emulator.#server, 'listening');
    const address = emulator.#server.address();
    if (address === null || typeof address === 'string') throw new Error('Cannot listen: no port');
    emulator.#service.url = `http://127.0.0.1:${address.port}`;
    return emulator;
  }

  private constructor({ dir, identities, admins = [], now = Date.now }: GcsEmulatorOptions) {
    this.#now = now;
    this.#identities = new GcsIdentities(identities, admins);
    this.#state = new GcsState({ dir, now });
    this.#service = new GcsService(this.#state, this.#identities);
    this.#server = createServer((request, response) => {
      this.#serve(request, response).catch(() => response.destroy());
    });
  }

  /** What clients take as their endpoint. */
  get url(): string {
    return this.#service.url;
  }

  get buckets(): ReadonlyMap<string, GcsBucket> {
    return this.#state.buckets;
  }

  /** The text of an identity's key file. */
  keyOf(identity: string): string {
    return this.#identities.keyOf(identity, this.#service.tokenUri);
  }

  /** `serviceAccount:{email}`, as policies name it. */
  memberOf(identity: string): string {
    return `serviceAccount:${this.#identities.emailOf(identity)}`;
  }

  /** Writes `{identity}.json` for each identity. */
  async writeKeys(folder: string): Promise<void> {
    await mkdir(folder, { recursive: true });
    for (const name of this.#identities.names)
      await writeFile(join(folder, `${name}.json`), this.keyOf(name), { mode: 0o600 });
  }

  /** Deletes what the rules of the buckets delete by now; gives the names. The real service does it by itself, some time later. */
  carryOutLifecycle(): string[] {
    const names: string[] = [];
    for (const bucket of this.#state.buckets.values())
      for (const object of overOf(bucket, this.#now())) {
        this.#state.remove(bucket, object, { rules: rulesOf(bucket), named: false });
        names.push(object.name);
      }
    return names;
  }

  expireTokens(): void {
    this.#identities.expireTokens();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = 'GET', url: target = '/', headers } = request;
    const url = new URL(target, 'http://localhost');
    const isRead = method === 'GET' && url.searchParams.get('alt') === 'media';
    const body = await buffer(request);
    this.requests.push(`${method} ${target}`);
    if (this.requests.length > requestsKeptMax) this.requests.shift();
    const trouble = this.faults.meet({ method, target, isRead });
    if (trouble?.kind === 'hang') return;
    if (trouble?.kind === 'late') await sleep(trouble.delayMs);
    const answer =
      trouble?.kind === 'fail'
        ? refusal(new GcsFault(trouble.status, 'backendError', 'Planned fault.'))
        : this.#answer({ method, url, headers, body });
    this.counts.answered += 1;
    if (trouble?.kind === 'late') this.counts.late += 1;
    if (answer.status === 401 || answer.status === 403) this.counts.refused += 1;
    if (trouble?.kind === 'lose-answer') response.destroy();
    else send(response, trouble ? troubled(answer, trouble) : answer);
  }

  #answer(asked: Parameters<GcsService['answer']>[0]): GcsAnswer {
    try {
      return this.#service.answer(asked);
    } catch (error) {
      if (error instanceof GcsFault) return refusal(error);
      return refusal(new GcsFault(500, 'internalError', String(error)));
    }
  }
}

function refusal(fault: GcsFault): GcsAnswer {
  return {
    status: fault.status,
    headers: { 'content-type': 'application/json; charset=UTF-8' },
    body: fault.body(),
  };
}

function send(response: ServerResponse, { status, headers, body }: GcsAnswer): void {
  const content = Buffer.from(body);
  response.writeHead(status, { ...headers, 'content-length': `${content.length}` });
  response.end(content);
}

const otherChecksum = 'AAAAAA==';

function troubled(answer: GcsAnswer, trouble: GcsTrouble): GcsAnswer {
  const body = Buffer.from(answer.body);
  if (trouble.kind === 'wrong-checksum') {
    const text = answer.isContent ? undefined : body.toString();
    const hash = answer.headers?.['x-goog-hash'];
    return {
      ...answer,
      headers: {
        ...answer.headers,
        ...(hash !== undefined && {
          'x-goog-hash': hash.replace(/crc32c=[^,]+/, `crc32c=${otherChecksum}`),
        }),
      },
      body: text?.replace(/"crc32c":"[^"]+"/, `"crc32c":"${otherChecksum}"`) ?? body,
    };
  }
  if (!answer.isContent) return answer;
  if (trouble.kind === 'cut') return { ...answer, body: body.subarray(0, body.length / 2) };
  if (trouble.kind === 'corrupt' && body.length > 0)
    body.writeUInt8(body.readUInt8(body.length >> 1) ^ 1, body.length >> 1);
  return { ...answer, body };
}
