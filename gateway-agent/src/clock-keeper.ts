import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { AgentEvents } from './events.ts';
import { type Anchor, GatewayClock, type Untimed, anchorsSchema } from './model/gateway-clock.ts';
import type { ClockReading } from './model/gateway-clock.ts';
import { timed } from './model/reading.ts';
import type { StoredRecord } from './model/record.ts';
import { isNoSpace, replaceFile } from './store/files.ts';

/** The machine's clocks. */
export interface MachineClock {
  readonly wallMs: () => number;
  readonly monotonicMs: () => number;
  readonly osBoot: string;
}

export interface ClockKeeperOptions {
  readonly dataDirectory: string;
  /** The clock is known when this file is there, as systemd-timesyncd makes one; undefined: when it is past 2024. */
  readonly syncedFile?: string | undefined;
  readonly waitMs: number;
  readonly machine: MachineClock;
  readonly events: AgentEvents;
}

const fileName = 'clock.json';
const lookEveryMs = 1000;

/** Tells readings their time, also those that came before anyone knew it. Looks at the clock each second. */
export class ClockKeeper implements AsyncDisposable {
  readonly #options: ClockKeeperOptions;
  readonly #clock: GatewayClock;
  #isSynced = false;
  #isKnown = false;
  #looking: Promise<void> = Promise.resolve();
  readonly #timer: NodeJS.Timeout;

  private constructor(options: ClockKeeperOptions, anchors: readonly Anchor[]) {
    this.#options = options;
    this.#clock = new GatewayClock(anchors, options.waitMs);
    this.#timer = setInterval(() => {
      this.#looking = this.#looking.then(() => this.look());
    }, lookEveryMs).unref();
  }

  static async open(options: ClockKeeperOptions): Promise<ClockKeeper> {
    const keeper = new ClockKeeper(options, await readAnchors(options.dataDirectory));
    await keeper.look();
    return keeper;
  }

  get isKnown(): boolean {
    return this.#isKnown;
  }

  /** When something comes that comes now. */
  arrival(): number | Untimed {
    const { wallMs, monotonicMs, osBoot } = this.#reading();
    return this.#isKnown ? wallMs : { osBoot, monotonicMs };
  }

  /** What is sent of a record: with its time, or as it is. Undefined: its time may soon be known. */
  bodyOf({ body, untimed }: StoredRecord): Buffer | undefined {
    if (!untimed) return body;
    const time = this.#clock.timeOf(untimed, this.#reading());
    if (time === 'wait') return undefined;
    return time === 'never' ? body : Buffer.from(timed(body.toString(), time));
  }

  async look(): Promise<void> {
    const { syncedFile, events } = this.#options;
    this.#isSynced = syncedFile === undefined || (await isThere(syncedFile));
    const { isKnown, jumpMs, isChanged } = this.#clock.look(this.#reading());
    if (isKnown !== this.#isKnown) events.clockKnown(isKnown);
    this.#isKnown = isKnown;
    if (jumpMs !== 0) events.clockJumped(jumpMs);
    if (isChanged) await this.#keep();
  }

  /** Without room on the disk it is only known until the machine is started again. */
  async #keep(): Promise<void> {
    const content = Buffer.from(JSON.stringify(this.#clock.anchors));
    await replaceFile(this.#options.dataDirectory, fileName, content).catch((error: unknown) => {
      if (!isNoSpace(error)) throw error;
    });
  }

  #reading(): ClockReading {
    const { wallMs, monotonicMs, osBoot } = this.#options.machine;
    return {
      wallMs: wallMs(),
      monotonicMs: monotonicMs(),
      osBoot,
      isSynced: this.#isSynced,
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    await this.#looking;
  }
}

async function readAnchors(directory: string): Promise<readonly Anchor[]> {
  const text = await readFile(join(directory, fileName), 'utf8').catch(() => '[]');
  try {
    return anchorsSchema.parse(JSON.parse(text));
  } catch {
    return [];
  }
}

async function isThere(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

/** Of Linux: the monotonic clock goes on over restarts of the agent, and the boot has a name. */
export async function machineClock(now: () => number): Promise<MachineClock> {
  const osBoot = await readFile('/proc/sys/kernel/random/boot_id', 'utf8').catch(() =>
    crypto.randomUUID(),
  );
  return {
    wallMs: now,
    monotonicMs: () => Number(process.hrtime.bigint() / 1_000_000n),
    osBoot: osBoot.trim(),
  };
}
