import type { DeviceId } from '@domicile/core/identities.ts';
import { parseTime } from '@domicile/core/telemetry.ts';
import type { CommandOutcome, DeviceCommand } from '../driver.ts';

/** A device that has not asked for so long is away. */
const listensForMs = 120_000;
/** Devices that are remembered; a building has 5,000. */
const devicesMax = 10_000;

interface Pending {
  readonly command: DeviceCommand;
  readonly settle: (outcome: CommandOutcome) => void;
  isFetched: boolean;
}

interface Listener {
  askedAtMs: number;
  /** Ends the request that waits, if one does. */
  wake: () => void;
}

export interface HttpCommandsOptions {
  readonly now: () => number;
  readonly answerTimeoutMs: number;
  readonly reachable: (device: DeviceId) => void;
}

/** Commands for devices that ask: kept until they are fetched, and given again until the device says what became of them. */
export class HttpCommands {
  readonly #options: HttpCommandsOptions;
  readonly #listeners = new Map<DeviceId, Listener>();
  readonly #pending = new Map<string, Pending>();
  #isClosed = false;

  constructor(options: HttpCommandsOptions) {
    this.#options = options;
  }

  drives(device: DeviceId): boolean {
    // A command that waits its turn is for the next start.
    if (this.#isClosed) return false;
    const listener = this.#listeners.get(device);
    return listener !== undefined && this.#options.now() - listener.askedAtMs < listensForMs;
  }

  /** Resolves to the device's open commands, at once or when one comes; empty after `waitMs` or when `signal` aborts. */
  async fetch(device: DeviceId, waitMs: number, signal: AbortSignal): Promise<DeviceCommand[]> {
    this.#listeners.get(device)?.wake();
    const { promise, resolve } = Promise.withResolvers<void>();
    const listener: Listener = { askedAtMs: this.#options.now(), wake: resolve };
    this.#listeners.delete(device);
    this.#listeners.set(device, listener);
    this.#forget();
    this.#options.reachable(device);
    if (this.#open(device).length === 0 && waitMs > 0 && !signal.aborted) {
      const timer = setTimeout(resolve, waitMs);
      signal.addEventListener('abort', () => resolve(), { once: true });
      await promise;
      clearTimeout(timer);
    }
    listener.askedAtMs = this.#options.now();
    listener.wake = () => undefined;
    if (signal.aborted) return [];
    const open = this.#open(device);
    for (const pending of open) pending.isFetched = true;
    return open.map(({ command }) => command);
  }

  #forget(): void {
    for (const oldest of this.#listeners.keys()) {
      if (this.#listeners.size <= devicesMax) return;
      this.#listeners.delete(oldest);
    }
  }

  #open(device: DeviceId): Pending[] {
    const nowMs = this.#options.now();
    return [...this.#pending.values()].filter(
      ({ command }) => command.device === device && nowMs <= expiryMsOf(command),
    );
  }

  /** What the device says became of a command; false if it has none of this id. */
  answer(device: DeviceId, id: string, outcome: CommandOutcome): boolean {
    const pending = this.#pending.get(id);
    if (pending?.command.device !== device) return false;
    pending.settle(outcome);
    return true;
  }

  async apply(command: DeviceCommand): Promise<CommandOutcome> {
    if (this.#isClosed) return neverFetched;
    const { promise, resolve } = Promise.withResolvers<CommandOutcome>();
    const pending: Pending = { command, settle: resolve, isFetched: false };
    this.#pending.set(command.id, pending);
    this.#listeners.get(command.device)?.wake();
    const { answerTimeoutMs, now } = this.#options;
    const fetchMs = Math.max(0, Math.min(answerTimeoutMs, expiryMsOf(command) - now()));
    let timer = setTimeout(() => {
      if (!pending.isFetched) resolve({ state: 'failed', reason: 'the device did not fetch it' });
      else timer = setTimeout(() => resolve(silence), answerTimeoutMs);
    }, fetchMs);
    const outcome = await promise;
    clearTimeout(timer);
    this.#pending.delete(command.id);
    return outcome;
  }

  /** Nobody will ask any more. */
  close(): void {
    this.#isClosed = true;
    for (const { isFetched, settle } of this.#pending.values())
      settle(isFetched ? { state: 'unknown', reason: 'the agent stopped' } : neverFetched);
    for (const { wake } of this.#listeners.values()) wake();
  }
}

const neverFetched: CommandOutcome = {
  state: 'failed',
  reason: 'the agent stopped before the device fetched it',
};
const silence: CommandOutcome = { state: 'unknown', reason: 'the device did not answer' };

function expiryMsOf({ expiresAt }: DeviceCommand): number {
  return expiresAt === undefined ? Infinity : (parseTime(expiresAt) ?? Infinity);
}
