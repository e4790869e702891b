import { z } from 'zod';

/** States that the agent gives; `expired` is the cell's word alone. */
export type AgentCommandState = 'delivered' | 'applying' | 'applied' | 'failed' | 'unknown';

const settable = z.union([z.number(), z.boolean(), z.string()]);

/** Payload of `v1/{building}/{device}/commands/{commandId}`. */
export const commandPayloadSchema = z.object({
  id: z.string(),
  set: z.record(z.string(), settable),
  expiresAt: z.string().optional(),
  /** When the cell took it, so that an old one that comes late is known. */
  acceptedAt: z.union([z.string(), z.number()]).optional(),
});

const stateSchema = z.enum(['delivered', 'applying', 'applied', 'failed', 'unknown']);

const heldSchema = z.object({
  id: z.string(),
  device: z.string(),
  set: z.record(z.string(), settable),
  expiresAt: z.string().optional(),
  acceptedAtMs: z.number().optional(),
  /** Where it stands in the order in which commands came. */
  place: z.number().default(0),
  state: stateSchema,
  reason: z.string().optional(),
});

/** A command that the agent holds. */
export type HeldCommand = z.output<typeof heldSchema>;

const reportSchema = z.object({
  key: z.number(),
  id: z.string(),
  device: z.string(),
  state: stateSchema,
  at: z.string(),
  reason: z.string().optional(),
});

/** A state on its way to the cell. */
export type StateReport = z.output<typeof reportSchema>;

/** All commands that are open, those that ended lately, and the states that the cell has not acked. */
export const commandBookSchema = z.object({
  nextKey: z.number(),
  commands: z.array(heldSchema),
  reports: z.array(reportSchema),
});

export type CommandBook = z.output<typeof commandBookSchema>;

export const emptyBook: CommandBook = { nextKey: 0, commands: [], reports: [] };

/** Ended commands that are remembered, so that a repeat is not carried out twice. */
export const endedMax = 500;
export const openMax = 1000;

const ends: ReadonlySet<string> = new Set(['applied', 'failed', 'unknown']);

export function isEnded({ state }: HeldCommand): boolean {
  return ends.has(state);
}

export function openCommands(book: CommandBook): readonly HeldCommand[] {
  return book.commands.filter((command) => !isEnded(command));
}

/**
 * A command came down. A new one is `delivered`; of a known one its last state is told again, since the cell
 * would not repeat what it knows to be settled.
 */
export function receiveCommand(
  book: CommandBook,
  received: Omit<HeldCommand, 'place' | 'state'>,
  atMs: number,
): CommandBook {
  const known = book.commands.find(({ id }) => id === received.id);
  if (!known) {
    const command: HeldCommand = { ...received, place: book.nextKey, state: 'delivered' };
    return report({ ...book, commands: [...book.commands, command] }, command, atMs);
  }
  const isOnItsWay = book.reports.some(({ id, state }) => id === known.id && state === known.state);
  return isOnItsWay ? book : report(book, known, atMs);
}

export interface Move {
  readonly id: string;
  readonly state: AgentCommandState;
  readonly reason?: string;
}

/** A command moves on; of an unknown or ended one nothing changes. */
export function moveCommand(book: CommandBook, move: Move, atMs: number): CommandBook {
  const known = book.commands.find(({ id }) => id === move.id);
  if (!known || isEnded(known)) return book;
  const moved: HeldCommand = { ...known, ...move };
  const others = book.commands.filter(({ id }) => id !== move.id);
  return report({ ...book, commands: bounded([...others, moved]) }, moved, atMs);
}

/**
 * The newer command that forbids this one: one that has touched any of its points, or may have, or one that waits and sets
 * all of them. An old set point must not undo a new one.
 */
export function supersededBy(book: CommandBook, command: HeldCommand): HeldCommand | undefined {
  const points = Object.keys(command.set);
  return book.commands.find((other) => {
    if (other.device !== command.device || !isNewer(other, command)) return false;
    const isSet = (point: string) => Object.hasOwn(other.set, point);
    if (other.state === 'failed') return false;
    return other.state === 'delivered'
      ? points.length > 0 && points.every(isSet)
      : points.some(isSet);
  });
}

/** By the cell's times where both have one, else by the order in which they came. */
function isNewer(one: HeldCommand, other: HeldCommand): boolean {
  const { acceptedAtMs: oneMs, place } = one;
  const { acceptedAtMs: otherMs } = other;
  if (oneMs !== undefined && otherMs !== undefined && oneMs !== otherMs) return oneMs > otherMs;
  return place > other.place;
}

/** After a start: whatever was being applied may or may not have reached its device. */
export function reopen(book: CommandBook, atMs: number): CommandBook {
  const applying = book.commands.filter(({ state }) => state === 'applying');
  return applying.reduce(
    (sum, { id }) => moveCommand(sum, { id, state: 'unknown', reason: 'the agent stopped' }, atMs),
    book,
  );
}

export function reported(book: CommandBook, key: number): CommandBook {
  return { ...book, reports: book.reports.filter((one) => one.key !== key) };
}

function report(book: CommandBook, command: HeldCommand, atMs: number): CommandBook {
  const { id, device, state, reason } = command;
  const at = new Date(atMs).toISOString();
  const next = {
    key: book.nextKey,
    id,
    device,
    state,
    at,
    ...(reason !== undefined && { reason }),
  };
  return { ...book, nextKey: book.nextKey + 1, reports: [...book.reports, next] };
}

function bounded(commands: HeldCommand[]): HeldCommand[] {
  const ended = commands.filter(isEnded);
  const forgotten = new Set(ended.slice(0, Math.max(0, ended.length - endedMax)));
  return commands.filter((command) => !forgotten.has(command));
}
