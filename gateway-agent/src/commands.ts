import { mkdir, readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { PlatformError } from '@domicile/core/errors.ts';
import {
  type BuildingId,
  type DeviceId,
  parseCommandId,
  parseDeviceId,
} from '@domicile/core/identities.ts';
import { parseTime } from '@domicile/core/telemetry.ts';
import { parseTopic, topicText } from '@domicile/core/topics.ts';
import type { Driver } from './drivers/driver.ts';
import type { AgentEvents } from './events.ts';
import {
  type CommandBook,
  type HeldCommand,
  type Move,
  commandBookSchema,
  commandPayloadSchema,
  emptyBook,
  moveCommand,
  openCommands,
  openMax,
  receiveCommand,
  reopen,
  reported,
  supersededBy,
} from './model/command-book.ts';
import { isNoSpace, replaceFile } from './store/files.ts';
import type { CommandPort } from './uplink/uplink.ts';

const fileName = 'commands.json';
const reasonLengthMax = 256;
/** How long a command waits for its device to come: after a start, devices need a while to be back. */
const patienceMsDefault = 60_000;
/** Timers take no more. */
const timerMsMax = 2 ** 31 - 1;

export interface CommandsOptions {
  readonly directory: string;
  readonly building: BuildingId;
  readonly events: AgentEvents;
  readonly now: () => number;
  /** The driver that reaches a device now. */
  readonly driverOf: (device: DeviceId) => Pick<Driver, 'apply'> | undefined;
  readonly patienceMs?: number;
  readonly fail: (error: unknown) => void;
}

/** Keeps commands on disk through every state: each state is synced before the next step is taken. */
export class Commands implements CommandPort, AsyncDisposable {
  readonly #options: CommandsOptions;
  readonly #ofDevice = new Map<string, Promise<void>>();
  readonly #waiting = new Map<string, () => void>();
  #book: CommandBook;
  #writing: Promise<void> = Promise.resolve();
  #listener: () => void = () => undefined;
  #stopped = false;

  private constructor(options: CommandsOptions, book: CommandBook) {
    this.#options = options;
    this.#book = book;
  }

  static async open(options: CommandsOptions): Promise<Commands> {
    await mkdir(options.directory, { recursive: true });
    const book = await readBook(join(options.directory, fileName), options.events);
    const commands = new Commands(options, book);
    await commands.#change((before) => reopen(before, options.now()));
    return commands;
  }

  /** Goes on with what was delivered before the start; call it when the drivers are there. */
  resume(): void {
    for (const command of openCommands(this.#book)) this.#enqueue(command);
  }

  onState(listener: () => void): void {
    this.#listener = listener;
  }

  async receive(topic: string, payload: Buffer): Promise<void> {
    const command = commandOf(topic, payload, this.#options.building);
    if (!command) return;
    // What is kept after the end could be written over what the next process keeps. The cell sends it again.
    if (this.#stopped)
      throw new PlatformError('UPSTREAM_UNAVAILABLE', 'Cannot take a command: the agent stops');
    let isKnown = false;
    await this.#change((book) => {
      // Asked when it is its turn: the same command may have come over two connections.
      isKnown = book.commands.some(({ id }) => id === command.id);
      if (!isKnown && openCommands(book).length >= openMax)
        throw new PlatformError('RATE_LIMITED', 'Cannot take a command: too many are open');
      return receiveCommand(book, command, this.#options.now());
    });
    const held = this.#book.commands.find(({ id }) => id === command.id);
    if (!isKnown && held) this.#enqueue(held);
  }

  unsent() {
    const { building } = this.#options;
    return this.#book.reports.map(({ key, id, device, state, at, reason }) => ({
      key,
      topic: topicText({
        kind: 'command-state',
        building,
        device: parseDeviceId(device),
        command: parseCommandId(id),
      }),
      payload: Buffer.from(JSON.stringify({ id, state, at, reason })),
    }));
  }

  /** Forgetting it would only send it once more, so the disk hears of it with the next change. */
  async sent(key: number): Promise<void> {
    this.#book = reported(this.#book, key);
  }

  /** A driver reaches the device (absent: some devices) now: what waited for it goes on. */
  reachable(device?: DeviceId): void {
    if (device === undefined) for (const goOn of this.#waiting.values()) goOn();
    else this.#waiting.get(device)?.();
  }

  /** One command of a device at a time, in the order they came. */
  #enqueue(command: HeldCommand): void {
    const { device } = command;
    const patientUntilMs = this.#options.now() + (this.#options.patienceMs ?? patienceMsDefault);
    const before = this.#ofDevice.get(device) ?? Promise.resolve();
    const after = this.#carryOutAfter(before, { command, patientUntilMs })
      .catch(this.#options.fail)
      .finally(() => {
        if (this.#ofDevice.get(device) === after) this.#ofDevice.delete(device);
      });
    this.#ofDevice.set(device, after);
  }

  async #carryOutAfter(before: Promise<void>, waiting: WaitingCommand): Promise<void> {
    await before;
    try {
      await this.#carryOut(waiting);
    } catch (error) {
      // On a full disk no step may be taken. After the next start it goes on, or its fate is unknown.
      if (!isNoSpace(error)) throw error;
      this.#options.events.commandRefused();
    }
  }

  async #carryOut({ command, patientUntilMs }: WaitingCommand): Promise<void> {
    const { id, set, expiresAt } = command;
    const device = parseDeviceId(command.device);
    const expiresMs = expiresAt === undefined ? Infinity : (parseTime(expiresAt) ?? Infinity);
    const driver = await this.#driverOf(device, Math.min(expiresMs, patientUntilMs));
    if (this.#stopped) return;
    const refusal = this.#refusalOf(command, expiresMs) ?? (driver ? undefined : noDriver);
    if (!driver || refusal !== undefined) {
      await this.#move({ id, state: 'failed', reason: refusal ?? noDriver });
      return;
    }
    await this.#move({ id, state: 'applying' });
    const outcome = await driver.apply({ id, device, set, expiresAt });
    await this.#move({ id, ...outcome });
  }

  #refusalOf(command: HeldCommand, expiresMs: number): string | undefined {
    if (this.#options.now() > expiresMs) return 'expired';
    const newer = supersededBy(this.#book, command);
    return newer && `superseded: ${newer.id} is newer`;
  }

  async #driverOf(device: DeviceId, untilMs: number): Promise<Pick<Driver, 'apply'> | undefined> {
    const { now, driverOf } = this.#options;
    for (;;) {
      const driver = driverOf(device);
      const restMs = untilMs - now();
      if (driver || this.#stopped || restMs <= 0) return driver;
      await this.#comesWithin(device, Math.min(restMs, timerMsMax));
    }
  }

  async #comesWithin(device: DeviceId, timeoutMs: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, timeoutMs);
    this.#waiting.set(device, resolve);
    await promise;
    clearTimeout(timer);
    this.#waiting.delete(device);
  }

  async #move(move: Move): Promise<void> {
    const reason = move.reason?.slice(0, reasonLengthMax);
    const cut = { ...move, ...(reason !== undefined && { reason }) };
    await this.#change((book) => moveCommand(book, cut, this.#options.now()));
  }

  /** Changes follow each other; a change is told when it is on disk. */
  #change(change: (book: CommandBook) => CommandBook): Promise<void> {
    const { directory, events } = this.#options;
    const write = async (): Promise<void> => {
      const before = this.#book;
      const after = change(before);
      if (after === before) return;
      await replaceFile(directory, fileName, Buffer.from(JSON.stringify(after)));
      // States that were acked while the disk was busy stay acked.
      const acked = before.reports.filter((one) => !this.#book.reports.includes(one));
      this.#book = acked.reduce((sum, { key }) => reported(sum, key), after);
      for (const { id, device, state } of after.reports.filter(
        (one) => !before.reports.includes(one),
      ))
        events.commandMoved({ command: id, device, state });
      this.#listener();
    };
    const written = this.#writing.then(write);
    this.#writing = written.catch(() => undefined);
    return written;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped = true;
    for (const goOn of this.#waiting.values()) goOn();
    await Promise.all(this.#ofDevice.values());
    await this.#writing;
  }
}

interface WaitingCommand {
  readonly command: HeldCommand;
  readonly patientUntilMs: number;
}

const noDriver = 'no driver has this device';

/** Undefined for a topic that is no command's. What cannot be read is a command that sets nothing. */
function commandOf(
  topic: string,
  payload: Buffer,
  building: BuildingId,
): Omit<HeldCommand, 'place' | 'state'> | undefined {
  const read = parseTopic(topic);
  if (read?.kind !== 'command' || read.building !== building) return undefined;
  const { device, command: id } = read;
  const parsed = commandPayloadSchema.safeParse(jsonOf(payload));
  if (!parsed.success) return { id, device, set: {} };
  const { set, expiresAt, acceptedAt } = parsed.data;
  const acceptedAtMs = typeof acceptedAt === 'string' ? parseTime(acceptedAt) : acceptedAt;
  return { id, device, set, expiresAt, acceptedAtMs };
}

function jsonOf(payload: Buffer): unknown {
  try {
    return JSON.parse(payload.toString());
  } catch {
    return undefined;
  }
}

/** A book that cannot be read is set aside: the cell expires what was in it, and the building goes on. */
async function readBook(path: string, events: AgentEvents): Promise<CommandBook> {
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (text === undefined) return emptyBook;
  try {
    return commandBookSchema.parse(JSON.parse(text));
  } catch {
    await rename(path, `${path}.unreadable`);
    events.commandsUnreadable();
    return emptyBook;
  }
}
