import type { CommandRecord, CommandState, CommandStateRecord } from '@domicile/core/command.ts';

export interface HistoryEntry {
  readonly state: CommandState;
  /** RFC 3339, as the one whose word it is told it. */
  readonly at: string;
  readonly reason?: string;
}

/** Everything that is known of one command. */
export interface CommandLife {
  readonly record: CommandRecord;
  readonly state: CommandState;
  /** When that state came about. */
  readonly at: string;
  /** In the order in which it became known. */
  readonly history: readonly HistoryEntry[];
}

/** The cell waits so long after `expiresAt` for a delivery that is under way. */
export const expiryGraceMs = 30_000;

/**
 * How much a state says of what became of the command. A state gives way only to one that says more, so nothing goes
 * back, and `applied`, which is what was wanted, wins whenever it comes.
 */
const weights: Readonly<Record<CommandState, number>> = {
  accepted: 0,
  delivered: 1,
  applying: 2,
  unknown: 3,
  expired: 4,
  failed: 5,
  applied: 6,
};

/** A command that has just been accepted: its record in the stream is that state. */
export function acceptedLife(record: CommandRecord): CommandLife {
  const at = new Date(record.acceptedAtMs).toISOString();
  return { record, state: 'accepted', at, history: [{ state: 'accepted', at }] };
}

/** Takes a state in. The same word again changes nothing. */
export function withState(life: CommandLife, told: CommandStateRecord): CommandLife {
  const { state, at, reason } = told;
  const isKnown = life.history.some(
    (entry) => entry.state === state && (entry.at === at || state === 'accepted'),
  );
  if (isKnown) return life;
  const entry = { state, at, ...(reason !== undefined && { reason }) };
  const history = [...life.history, entry].slice(-historyMax);
  return weights[state] > weights[life.state]
    ? { ...life, state, at, history }
    : { ...life, history };
}

/** A gateway that says ever new things does not fill the memory. */
export const historyMax = 100;

/** Whether nobody took it in time: the only thing that the cell itself may say after `accepted`. */
export function hasExpired({ record, state }: CommandLife, nowMs: number): boolean {
  return state === 'accepted' && nowMs >= Date.parse(record.expiresAt) + expiryGraceMs;
}
