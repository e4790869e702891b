import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { filterMatches } from '@domicile/core/topics.ts';
import type { InboundMessage, OutboundMessage } from '@domicile/mqtt/owner.ts';
import { z } from 'zod';
import { replaceFile } from '../../store/files.ts';

const fileName = 'retained.json';
export const retainedMax = 2000;
const bytesMax = 2 * 1024 ** 2;

const keptSchema = z.array(
  z.object({
    topic: z.string(),
    payload: z.base64(),
    qos: z.union([z.literal(0), z.literal(1), z.literal(2)]),
    expiresAtMs: z.number().optional(),
  }),
);

interface Kept {
  readonly payload: Buffer;
  readonly qos: 0 | 1 | 2;
  readonly expiresAtMs?: number | undefined;
}

/** The last message of topics that devices asked to be retained, on disk before it is acked. */
export class Retained {
  readonly #directory: string;
  readonly #now: () => number;
  readonly #kept: Map<string, Kept>;
  #bytes = 0;
  #writing: Promise<void> | undefined;
  #next: Promise<void> | undefined;

  private constructor(directory: string, now: () => number, kept: Map<string, Kept>) {
    this.#directory = directory;
    this.#now = now;
    this.#kept = kept;
    for (const [topic, { payload }] of kept) this.#bytes += topic.length + payload.length;
  }

  /** What cannot be read is forgotten: devices say it again. */
  static async open(directory: string, now: () => number): Promise<Retained> {
    await mkdir(directory, { recursive: true });
    const kept = await readFile(join(directory, fileName), 'utf8')
      .then((text) => keptSchema.parse(JSON.parse(text)))
      .catch(() => []);
    const entries = kept.map(({ topic, payload, ...rest }): [string, Kept] => [
      topic,
      { ...rest, payload: Buffer.from(payload, 'base64') },
    ]);
    return new Retained(directory, now, new Map(entries));
  }

  /** Resolves when it is on disk; an empty payload removes. False if there is no room. Throws what the disk throws. */
  async set({ topic, payload, qos, expirySeconds }: InboundMessage): Promise<boolean> {
    const before = this.#kept.get(topic);
    if (payload.length === 0 && !before) return true;
    const bytesBefore = before ? topic.length + before.payload.length : 0;
    const bytesAfter = payload.length === 0 ? 0 : topic.length + payload.length;
    const bytes = this.#bytes - bytesBefore + bytesAfter;
    if (payload.length > 0 && (bytes > bytesMax || (!before && this.#kept.size >= retainedMax)))
      return false;
    this.#bytes = bytes;
    const expiresAtMs =
      expirySeconds === undefined ? undefined : this.#now() + expirySeconds * 1000;
    if (payload.length === 0) this.#kept.delete(topic);
    else this.#kept.set(topic, { payload, qos, expiresAtMs });
    await this.#write();
    return true;
  }

  /** Whether it is still what its topic retains. */
  isNewest({ topic, payload }: Pick<OutboundMessage, 'topic' | 'payload'>): boolean {
    return this.#kept.get(topic)?.payload === payload;
  }

  matching(filter: string): OutboundMessage[] {
    return [...this.#kept]
      .filter(([topic, { expiresAtMs = Infinity }]) => {
        return filterMatches(filter, topic) && this.#now() < expiresAtMs;
      })
      .map(([topic, { payload, qos, expiresAtMs }]) => ({
        topic,
        payload,
        qos,
        retain: true,
        fromRetained: true,
        ...(expiresAtMs !== undefined && { expiresAtMs }),
      }));
  }

  /** One write at a time; those that come meanwhile share the next. */
  #write(): Promise<void> {
    if (!this.#writing) return this.#start();
    this.#next ??= this.#writing.catch(() => undefined).then(() => this.#start());
    return this.#next;
  }

  #start(): Promise<void> {
    this.#next = undefined;
    const kept = [...this.#kept].map(([topic, { payload, ...rest }]) => ({
      topic,
      payload: payload.toString('base64'),
      ...rest,
    }));
    const writing = replaceFile(
      this.#directory,
      fileName,
      Buffer.from(JSON.stringify(kept)),
    ).finally(() => {
      if (this.#writing === writing) this.#writing = undefined;
    });
    this.#writing = writing;
    return writing;
  }
}
