import { z } from 'zod';

/** What the machine says of time. All times are UTC: daylight saving moves no clock here. */
export interface ClockReading {
  /** Milliseconds since 1970, as the machine believes. */
  readonly wallMs: number;
  /** Milliseconds of a clock that nobody sets, which begins anew with each boot of the machine. */
  readonly monotonicMs: number;
  /** Which boot of the machine it is. */
  readonly osBoot: string;
  /** False while it is known that nobody has set the clock yet. */
  readonly isSynced: boolean;
}

/** When something came, while the time was not known. */
export interface Untimed {
  readonly osBoot: string;
  readonly monotonicMs: number;
}

const anchorSchema = z.object({ osBoot: z.string(), offsetMs: z.number() });
/** How far the two clocks of a boot are apart: what makes a time of the one that nobody sets. */
export type Anchor = z.output<typeof anchorSchema>;
export const anchorsSchema = z.array(anchorSchema);

export interface ClockNews {
  readonly isKnown: boolean;
  /** By how much the clock was set since the last look; 0: not at all. */
  readonly jumpMs: number;
  /** The anchors are others now and should be kept. */
  readonly isChanged: boolean;
}

/** 2024: a machine without a battery begins in 1970, or at the day that its system was built. */
export const earliestMs = 1_704_067_200_000;
/** Less is drift, and is followed without a word. */
export const jumpMsMin = 1000;
const anchorsMax = 16;

/** What an agent knows of time. Nothing here reads a clock. */
export class GatewayClock {
  readonly #waitMs: number;
  #anchors: readonly Anchor[];
  /** The boot that this process runs in, and when it was first heard of. */
  #first: Untimed | undefined;

  /** `waitMs`: how long what was kept without a time waits for one. */
  constructor(anchors: readonly Anchor[], waitMs: number) {
    this.#anchors = anchors;
    this.#waitMs = waitMs;
  }

  get anchors(): readonly Anchor[] {
    return this.#anchors;
  }

  /** Takes note of what the machine says. */
  look({ wallMs, monotonicMs, osBoot, isSynced }: ClockReading): ClockNews {
    this.#first ??= { osBoot, monotonicMs };
    const isKnown = isSynced && wallMs >= earliestMs;
    if (!isKnown) return { isKnown, jumpMs: 0, isChanged: false };
    const offsetMs = wallMs - monotonicMs;
    const before = this.#anchorOf(osBoot);
    const movedMs = before ? offsetMs - before.offsetMs : 0;
    const hasJumped = Math.abs(movedMs) >= jumpMsMin;
    const others = this.#anchors.filter((one) => one.osBoot !== osBoot);
    this.#anchors = [...others, { osBoot, offsetMs }].slice(-anchorsMax);
    return { isKnown, jumpMs: hasJumped ? movedMs : 0, isChanged: !before || hasJumped };
  }

  /**
   * The time, ms since 1970, of what came before the time was known. `wait`: it may still become known. `never`: it will not,
   * since the machine has ended that boot without it, or it took too long.
   */
  timeOf(untimed: Untimed, now: ClockReading): number | 'wait' | 'never' {
    const anchor = this.#anchorOf(untimed.osBoot);
    if (anchor) return Math.round(untimed.monotonicMs + anchor.offsetMs);
    const { osBoot, monotonicMs } = this.#first ?? now;
    const mayCome = untimed.osBoot === osBoot && now.monotonicMs - monotonicMs < this.#waitMs;
    return mayCome ? 'wait' : 'never';
  }

  #anchorOf(osBoot: string): Anchor | undefined {
    return this.#anchors.find((one) => one.osBoot === osBoot);
  }
}
