import { mkdir, readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { PlatformError } from '@domicile/core/errors.ts';
import { type BuildingId, parseCommandId, parseDeviceId } from '@domicile/core/identities.ts';
import { parseTime } from '@domicile/core/telemetry.ts';
import { parseTopic, topicText } from '@domicile/core/topics.ts';
import type { CommandOutcome, DeviceCommand } from './drivers/driver.ts';
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
} from './model/command-book.ts';
import { isNoSpace, replaceFile } from './store/files.ts';
import type { CommandPort } from './uplink/uplink.ts';

const fileName = 'commands.json';
const reasonLengthMax = 256;

export interface CommandsOptions {
  readonly directory: string;
  readonly building: BuildingId;
  readonly events: AgentEvents;
  readonly now: () => number;
  /** Carries a command to its device by the driver that has it; undefined if none has. */
  readonly apply: (command: DeviceCommand) => Promise<CommandOutcome> | undefined;
  readonly fail: (error: unknown) => void;
}

/** Keeps commands on disk through every state: each state is synced before the next step is taken. */
export class Commands implements CommandPort, AsyncDisposable {
  readonly #options: CommandsOptions;
  readonly #ofDevice = new Map<string, Promise<void>>();
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
    const isKnown = this.#book.commands.some(({ id }) => id === command.id);
    if (!isKnown && openCommands(this.#book).length >= openMax)
      throw new PlatformError('RATE_LIMITED', 'Cannot take a command: too many are open');
    await this.#change((book) => receiveCommand(book, command, this.#options.now()));
    if (!isKnown) this.#enqueue(command);
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

  /** One command of a device at a time, in the order they came. */
  #enqueue(command: HeldCommand): void {
    const before = this.#ofDevice.get(command.device) ?? Promise.resolve();
    const after = this.#carryOutAfter(before, command).catch(this.#options.fail);
    this.#ofDevice.set(command.device, after);
  }

  async #carryOutAfter(before: Promise<void>, command: HeldCommand): Promise<void> {
    await before;
    try {
      await this.#carryOut(command);
    } catch (error) {
      // On a full disk no step may be taken. After the next start it goes on, or its fate is unknown.
      if (!isNoSpace(error)) throw error;
      this.#options.events.commandRefused();
    }
  }

  async #carryOut({ id, device, set, expiresAt }: HeldCommand): Promise<void> {
    if (this.#stopped) return;
    const expiresMs = expiresAt === undefined ? Infinity : (parseTime(expiresAt) ?? Infinity);
    if (this.#options.now() > expiresMs) {
      await this.#move({ id, state: 'failed', reason: 'expired' });
      return;
    }
    await this.#move({ id, state: 'applying' });
    const applying = this.#options.apply({ id, device: parseDeviceId(device), set, expiresAt });
    const outcome = await (applying ?? noDriver);
    await this.#move({ id, ...outcome });
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
    await Promise.all(this.#ofDevice.values());
    await this.#writing;
  }
}

const noDriver: CommandOutcome = { state: 'failed', reason: 'no driver has this device' };

/** Undefined for a topic that is no command's. What cannot be read is a command that sets nothing. */
function commandOf(topic: string, payload: Buffer, building: BuildingId): HeldCommand | undefined {
  const read = parseTopic(topic);
  if (read?.kind !== 'command' || read.building !== building) return undefined;
  const { device, command: id } = read;
  const parsed = commandPayloadSchema.safeParse(jsonOf(payload));
  const { set, expiresAt } = parsed.success ? parsed.data : { set: {}, expiresAt: undefined };
  return { id, device, set, expiresAt, state: 'delivered' };
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
