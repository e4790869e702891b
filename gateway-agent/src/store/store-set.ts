import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { unlessAborted } from '@domicile/runtime/unless-aborted.ts';
import type { AccountSource } from '../model/account.ts';
import { type DeviceNumbers, type Numbers, furthest } from '../model/numbering.ts';
import { readCheckpoint } from './files.ts';
import { holdDirectory, tryHold } from './hold-directory.ts';
import type { Store } from './store.ts';

export interface StoreSetOptions {
  readonly dataDirectory: string;
  readonly open: (directory: string) => Promise<Store>;
}

interface Older {
  readonly directory: string;
  readonly store: Store;
  readonly hold: AsyncDisposable;
}

const lookEveryMs = { pending: 250, idle: 5000 };
const holdTimeoutMs = 5000;
const namePattern = /^store(?:-(\d{1,9}))?$/;

/**
 * The stores of one agent: the one that this process writes, and those that other processes have left, which only lose
 * readings until they are empty. Each is a directory of its own, locked by the process that has it open.
 */
export class StoreSet implements AsyncDisposable {
  readonly main: Store;
  readonly #options: StoreSetOptions;
  readonly #directory: string;
  readonly #hold: AsyncDisposable;
  readonly #older: Older[] = [];
  /** What stores say that another process has still open. */
  #hints: Numbers = {};
  #paused = false;

  private constructor(
    options: StoreSetOptions,
    directory: string,
    parts: [Store, AsyncDisposable],
  ) {
    this.#options = options;
    this.#directory = directory;
    [this.main, this.#hold] = parts;
  }

  /** `newest` goes on with the store that was begun last, `new` begins one. Throws `CONFIG_INVALID` if another process has it. */
  static async begin(which: 'newest' | 'new', options: StoreSetOptions): Promise<StoreSet> {
    const { dataDirectory, open } = options;
    const newest = (await storesIn(dataDirectory)).at(-1) ?? 0;
    const number = which === 'new' ? newest + 1 : Math.max(1, newest);
    const directory = join(dataDirectory, nameOf(number));
    const hold = await holdDirectory(directory, holdTimeoutMs);
    try {
      return new StoreSet(options, directory, [await open(directory), hold]);
    } catch (error) {
      await hold[Symbol.asyncDispose]();
      throw error;
    }
  }

  get older(): readonly Store[] {
    return this.#older.map(({ store }) => store);
  }

  numbersOf(device: string): DeviceNumbers {
    const own = this.main.numbersOf(device);
    const others = [
      ...this.older.map((store) => store.numbersOf(device)),
      this.#hints[device] ?? {},
    ];
    return others.reduce((sum, one) => passedOf(sum, one), own);
  }

  /** Takes note of how far the stores that others have open were numbered; they must not be written any more by pollers. */
  async readHints(): Promise<void> {
    for (const directory of await this.#others()) {
      const checkpoint = await readCheckpoint(directory);
      if (typeof checkpoint !== 'string') this.#hints = furthest(this.#hints, checkpoint.numbers);
    }
  }

  /** Whether another process has one of the stores open. */
  async hasPending(): Promise<boolean> {
    return (await this.#others()).length > 0;
  }

  /**
   * Opens what others leave and removes what is empty, until `signal`. Only one process may do so. `tellAccount` resolves
   * to whether the cell has the account; `opened` is called whenever no store is pending any more.
   */
  async run(
    { tellAccount, opened }: { tellAccount: () => Promise<boolean>; opened: () => void },
    signal: AbortSignal,
  ): Promise<void> {
    let isSettled = false;
    while (!signal.aborted) {
      if (!this.#paused)
        for (const directory of await this.#others()) await this.#tryOpen(directory);
      const isPending = await this.hasPending();
      if (!isPending && !isSettled) opened();
      isSettled = !isPending;
      const empty = this.#older.filter(({ store }) => store.unsent.length === 0);
      // A cell that does not ack must not keep the agent from stopping.
      for (const one of empty)
        if (await unlessAborted(signal, tellAccount())) await this.#finish(one);
      const isIdle = isSettled && this.#older.length === 0;
      const delayMs = isIdle ? lookEveryMs.idle : lookEveryMs.pending;
      await wait(delayMs, undefined, { signal }).catch(() => undefined);
    }
  }

  /** Another process may begin a store: none is opened that is not this one's. */
  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
  }

  async #tryOpen(directory: string): Promise<void> {
    const hold = await tryHold(directory);
    if (!hold) return;
    const store = await this.#options.open(directory);
    this.#older.push({ directory, store, hold });
    this.#older.sort((left, right) => numberOf(left.directory) - numberOf(right.directory));
  }

  /** Its last words are in the main store before it goes. */
  async #finish({ directory, store, hold }: Older): Promise<void> {
    await this.main.adopt(store.account(0));
    await store[Symbol.asyncDispose]();
    await rm(directory, { recursive: true, force: true });
    this.#older.splice(
      this.#older.findIndex((one) => one.store === store),
      1,
    );
    await hold[Symbol.asyncDispose]();
  }

  async #others(): Promise<string[]> {
    const { dataDirectory } = this.#options;
    const known = new Set([this.#directory, ...this.#older.map(({ directory }) => directory)]);
    return (await storesIn(dataDirectory))
      .map((number) => join(dataDirectory, nameOf(number)))
      .filter((directory) => !known.has(directory));
  }

  /** What each store has to tell, the main one first. */
  accounts(atMs: number): AccountSource[] {
    return [this.main, ...this.older].map((store) => store.account(atMs));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { store, hold } of this.#older) {
      await store[Symbol.asyncDispose]();
      await hold[Symbol.asyncDispose]();
    }
    await this.main[Symbol.asyncDispose]();
    await this.#hold[Symbol.asyncDispose]();
  }
}

function passedOf(one: DeviceNumbers, other: DeviceNumbers): DeviceNumbers {
  const { own, ownBefore } = one;
  const { passed, passedBefore } = furthest({ one }, { one: other })['one'] ?? {};
  return {
    ...(own !== undefined && { own }),
    ...(ownBefore && { ownBefore }),
    ...(passed && { passed }),
    ...(passedBefore && { passedBefore }),
  };
}

/** Numbers of the stores in a data directory, the oldest first. */
export async function storesIn(dataDirectory: string): Promise<number[]> {
  const names = await readdir(dataDirectory);
  return names
    .flatMap((name) => {
      const match = namePattern.exec(name);
      return match ? [Number(match[1] ?? 1)] : [];
    })
    .toSorted((left, right) => left - right);
}

export function nameOf(number: number): string {
  return number === 1 ? 'store' : `store-${number}`;
}

function numberOf(directory: string): number {
  return Number(/-(\d+)$/.exec(directory)?.[1] ?? 1);
}
