/** How far a simulated device's readings were numbered: number `n` of the run is the `n`-th spoken tick from `firstTick` on. */
export interface SimulatedRun {
  readonly boot: string;
  readonly firstTick: number;
  /** The tick that comes next. */
  readonly nextTick: number;
}

interface Ticks {
  tickOf(from: number, n: number): number;
}

/**
 * Where a device goes on: the position follows from what is in the store, so a restart neither repeats nor leaves out. After an
 * absence longer than the history, or when the simulation became another one, a new run begins.
 */
export function simulatedRun(
  passed: { readonly boot: string; readonly next: number } | undefined,
  ticks: Ticks,
  at: { readonly nowTick: number; readonly historyTicks: number; readonly digest: string },
): SimulatedRun {
  const { nowTick, historyTicks, digest } = at;
  const oldest = nowTick - historyTicks;
  const [, first] = new RegExp(`^simulate-${digest}-(\\d{1,15})$`).exec(passed?.boot ?? '') ?? [];
  if (passed && first !== undefined) {
    const nextTick = ticks.tickOf(Number(first), passed.next);
    if (nextTick >= oldest) return { boot: passed.boot, firstTick: Number(first), nextTick };
  }
  return { boot: `simulate-${digest}-${oldest}`, firstTick: oldest, nextTick: oldest };
}
