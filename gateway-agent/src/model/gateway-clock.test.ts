import { expect, test } from 'vitest';
import {
  type ClockReading,
  GatewayClock,
  type Untimed,
  earliestMs,
  jumpMsMin,
} from './gateway-clock.ts';
import { TestRandom } from './test-random.ts';

const waitMs = 600_000;
const startMs = Date.parse('2026-03-29T00:30:00Z');

/** A machine whose true time the test knows. */
class Machine {
  trueMs = startMs;
  #bootedMs = startMs;
  #boots = 1;
  /** How wrong the wall clock is; undefined: nobody has set it. */
  wrongMs: number | undefined;

  get reading(): ClockReading {
    const monotonicMs = this.trueMs - this.#bootedMs;
    const wallMs = this.wrongMs === undefined ? monotonicMs : this.trueMs + this.wrongMs;
    return { wallMs, monotonicMs, osBoot: `boot-${this.#boots}`, isSynced: true };
  }

  reboot(): void {
    this.#boots += 1;
    this.trueMs += 30_000;
    this.#bootedMs = this.trueMs;
    this.wrongMs = undefined;
  }
}

interface Kept {
  readonly untimed: Untimed;
  readonly trueMs: number;
}

test('what came before the time was known gets its own time later, over boots, or none, and waits a bounded time', () => {
  const wrong: string[] = [];
  for (let seed = 0; seed < 150; seed += 1) {
    const random = new TestRandom(seed);
    const machine = new Machine();
    let clock = new GatewayClock([], waitMs);
    const kept: Kept[] = [];
    const known = new Set<string>();
    let upMs = 0;
    for (let step = 0; step < 60; step += 1) {
      const advanceMs = random.below(20_000);
      machine.trueMs += advanceMs;
      upMs += advanceMs;
      const { reading } = machine;
      const { isKnown } = clock.look(reading);
      if (isKnown) known.add(reading.osBoot);
      else kept.push({ untimed: reading, trueMs: machine.trueMs });
      const chance = random.next();
      if (chance < 0.08) machine.wrongMs = 0;
      else if (chance < 0.12) {
        machine.reboot();
        // The agent starts again with what it has written down.
        clock = new GatewayClock([...clock.anchors], waitMs);
        upMs = 0;
        clock.look(machine.reading);
      }
      const expectedOf = ({ untimed, trueMs }: Kept) => {
        if (known.has(untimed.osBoot)) return trueMs;
        return untimed.osBoot === machine.reading.osBoot && upMs < waitMs ? 'wait' : 'never';
      };
      const isWrong = (one: Kept) => clock.timeOf(one.untimed, machine.reading) !== expectedOf(one);
      wrong.push(...kept.filter(isWrong).map(({ trueMs }) => `seed ${seed}, ${step}: ${trueMs}`));
    }
  }
  expect(wrong).toEqual([]);
});

test('a clock that is set, forward or back, is told, and drift is not', () => {
  const machine = new Machine();
  machine.wrongMs = 0;
  const clock = new GatewayClock([], waitMs);
  expect(clock.look(machine.reading)).toEqual({ isKnown: true, jumpMs: 0, isChanged: true });
  for (const [wrongMs, jumpMs] of [
    [jumpMsMin - 1, 0],
    [3_600_000, 3_600_000 - jumpMsMin + 1],
    [-86_400_000, -90_000_000],
    [0, 86_400_000],
  ] as const) {
    machine.trueMs += 10_000;
    machine.wrongMs = wrongMs;
    expect(clock.look(machine.reading)).toEqual({ isKnown: true, jumpMs, isChanged: jumpMs !== 0 });
  }
});

test('a clock that someone must set first is not known before, wherever it stands', () => {
  const clock = new GatewayClock([], waitMs);
  const reading = { wallMs: startMs, monotonicMs: 5000, osBoot: 'a', isSynced: false };
  expect(clock.look(reading).isKnown).toBe(false);
  expect(clock.look({ ...reading, isSynced: true, wallMs: earliestMs - 1 }).isKnown).toBe(false);
  expect(clock.look({ ...reading, isSynced: true }).isKnown).toBe(true);
});

test('the hour that daylight saving takes and gives moves nothing: all is UTC', () => {
  const clock = new GatewayClock([], waitMs);
  for (const from of ['2026-03-29T00:00:00Z', '2026-10-25T00:00:00Z']) {
    const fromMs = Date.parse(from);
    let lastMs = 0;
    for (let minute = 0; minute < 180; minute += 1) {
      const monotonicMs = minute * 60_000;
      const reading = { wallMs: fromMs + monotonicMs, monotonicMs, osBoot: from, isSynced: true };
      expect(clock.look(reading).jumpMs).toBe(0);
      const time = clock.timeOf({ osBoot: from, monotonicMs }, reading);
      expect(time).toBe(fromMs + monotonicMs);
      expect(Number(time)).toBeGreaterThan(lastMs);
      lastMs = Number(time);
    }
  }
});
