/** When a device is asked next. */
export interface PollState {
  readonly dueMs: number;
  /** Times in a row that it did not answer. */
  readonly failures: number;
}

export interface PollTiming {
  readonly everyMs: number;
  readonly backOffMsMax: number;
}

/** After an answer: the next turn of its rhythm; turns that were missed are left out. */
export function afterAnswer(state: PollState, nowMs: number, { everyMs }: PollTiming): PollState {
  const missed = Math.max(0, Math.floor((nowMs - state.dueMs) / everyMs));
  return { dueMs: state.dueMs + (missed + 1) * everyMs, failures: 0 };
}

/** After silence: twice as long each time, up to the bound, and never more often than its rhythm. */
export function afterSilence(
  state: PollState,
  nowMs: number,
  { everyMs, backOffMsMax }: PollTiming,
): PollState {
  const failures = state.failures + 1;
  const backOffMs = Math.min(everyMs * 2 ** Math.min(failures - 1, 30), backOffMsMax);
  return { dueMs: nowMs + Math.max(everyMs, backOffMs), failures };
}
