import { z } from 'zod';
import type { KeptPosition } from './cursor.ts';

/** Where a share group stands in a place. */
export interface GroupPosition {
  /** The replica that reads it, or read it last. */
  readonly reader: string | undefined;
  /** The reader has let go of it. */
  readonly isFree: boolean;
  readonly position: KeptPosition;
}

const memberSchema = z.object({ replica: z.string().nullable() });
const positionSchema = z.object({
  reader: z.string().nullable(),
  isFree: z.boolean(),
  next: z.number(),
  pending: z.array(z.number()).optional(),
});
const keySchema = z.union([
  z.tuple([z.literal('member'), z.string(), z.string()]),
  z.tuple([z.literal('position'), z.string(), z.string()]),
]);

interface Group {
  /** By session: the replica that it is connected to, if any. */
  readonly members: Map<string, string | undefined>;
  readonly positions: Map<string, GroupPosition>;
}

/** A group is named by its share name and its filter: `$share/{name}/{filter}` without the first word. */
export function groupName({ share, filter }: { share: string; filter: string }): string {
  return `${share}/${filter}`;
}

export function memberKey(group: string, session: string): string {
  return JSON.stringify(['member', group, session]);
}

export function positionKey(group: string, place: string): string {
  return JSON.stringify(['position', group, place]);
}

export function positionValue({ reader, isFree, position }: GroupPosition) {
  return { reader: reader ?? null, isFree, ...position };
}

/** Who is in which share group, and how far each has come, as all replicas know it. */
export class ShareBook {
  readonly #groups = new Map<string, Group>();

  /** Takes an entry of the log, `undefined` where it was removed. @returns the group it is about. */
  note(key: string, value: unknown): string | undefined {
    const read = keySchema.safeParse(jsonOf(key)).data;
    if (!read) return undefined;
    const [kind, name, of] = read;
    const group = this.#groups.get(name) ?? { members: new Map(), positions: new Map() };
    this.#groups.set(name, group);
    if (kind === 'member') noteMember(group, of, value);
    else notePosition(group, of, value);
    if (group.members.size === 0 && group.positions.size === 0) this.#groups.delete(name);
    return name;
  }

  names(): readonly string[] {
    return [...this.#groups.keys()];
  }

  memberCount(name: string): number {
    return this.#groups.get(name)?.members.size ?? 0;
  }

  member(name: string, session: string): { readonly replica: string | undefined } | undefined {
    const members = this.#groups.get(name)?.members;
    return members?.has(session) ? { replica: members.get(session) } : undefined;
  }

  /** Replicas that have connected members and live. */
  replicas(name: string, alive: ReadonlySet<string>): ReadonlySet<string> {
    const found = new Set<string>();
    for (const replica of this.#groups.get(name)?.members.values() ?? [])
      if (replica !== undefined && alive.has(replica)) found.add(replica);
    return found;
  }

  position(name: string, place: string): GroupPosition | undefined {
    return this.#groups.get(name)?.positions.get(place);
  }

  places(name: string): readonly string[] {
    return [...(this.#groups.get(name)?.positions.keys() ?? [])];
  }
}

function noteMember({ members }: Group, session: string, value: unknown): void {
  const read = memberSchema.safeParse(value).data;
  if (read) members.set(session, read.replica ?? undefined);
  else members.delete(session);
}

function notePosition({ positions }: Group, place: string, value: unknown): void {
  const read = positionSchema.safeParse(value).data;
  if (!read) {
    positions.delete(place);
    return;
  }
  const { reader, isFree, next, pending } = read;
  const position = pending ? { next, pending } : { next };
  positions.set(place, { reader: reader ?? undefined, isFree, position });
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
