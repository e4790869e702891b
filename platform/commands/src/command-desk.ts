import { randomUUID } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import type { CommandBody } from '@domicile/core/answers/commands.ts';
import type { BuildingRecord } from '@domicile/core/building.ts';
import type { CommandRecord } from '@domicile/core/command.ts';
import { PlatformError } from '@domicile/core/errors.ts';
import { parseTime } from '@domicile/core/telemetry.ts';
import type { CommandWriter } from './command-writer.ts';
import type { CommandEvents } from './events.ts';
import { expiryDefaultMs, faultsOf } from './model/check-command.ts';
import type { CommandBook } from './model/command-book.ts';
import type { CommandLife } from './model/command-life.ts';

interface Desk {
  readonly book: CommandBook;
  readonly writer: CommandWriter;
  readonly events: CommandEvents;
  readonly now: () => number;
}

export interface Asked {
  readonly building: BuildingRecord;
  readonly device: string;
  readonly body: CommandBody;
  /** The subject of the token. */
  readonly by: string;
  readonly idempotencyKey: string | undefined;
}

/** Takes commands in: checked, durable, then answered. */
export class CommandDesk {
  readonly #desk: Desk;
  /** By asker and key: what is being written and may be asked for again meanwhile. */
  readonly #writing = new Map<string, Promise<CommandLife>>();

  constructor(desk: Desk) {
    this.#desk = desk;
  }

  /**
   * Resolves when the command and its acceptance are durable. Throws `NOT_FOUND` for a device that is not there,
   * `VALUE_INVALID` with every fault, `CONFLICT` for a key that stood for another command or a building that is no
   * longer served.
   */
  async accept(asked: Asked): Promise<CommandLife> {
    const { building, by, idempotencyKey } = asked;
    if (idempotencyKey === undefined) return this.#write(this.#recordOf(asked));
    const key = JSON.stringify([building.id, by, idempotencyKey]);
    // Nothing is awaited between the look and the entry: of two at once the second finds the first.
    const under = this.#writing.get(key);
    if (under) return same(await under, asked);
    const before = this.#desk.book.askedBefore(building.id, by, idempotencyKey);
    if (before) return same(before, asked);
    const writing = this.#write(this.#recordOf(asked));
    this.#writing.set(key, writing);
    try {
      return await writing;
    } finally {
      this.#writing.delete(key);
    }
  }

  /** Tells of those that nobody took in time; answers with how many. */
  async expire(): Promise<number> {
    const { book, writer, events, now } = this.#desk;
    let expired = 0;
    for (const { record } of book.expired(now())) {
      const { id, building, device } = record;
      // It may have been taken while others were told of.
      if (book.get(building, id)?.state !== 'accepted') continue;
      const at = new Date(now()).toISOString();
      const told = {
        id,
        building,
        device,
        state: 'expired',
        at,
        reason: 'nobody took it in time',
      } as const;
      await writer.state(told);
      book.takeState(told);
      events.expired(record);
      expired += 1;
    }
    return expired;
  }

  #recordOf({ building, device, body, by, idempotencyKey }: Asked): CommandRecord {
    const nowMs = this.#desk.now();
    if (building.state !== 'active')
      throw new PlatformError('CONFLICT', 'Cannot command: the building is no longer served');
    const faults = faultsOf(building, { device, body, nowMs });
    if (!faults) throw new PlatformError('NOT_FOUND', 'Cannot find the device');
    if (faults.length > 0)
      throw new PlatformError('VALUE_INVALID', 'Cannot accept the command: a part is invalid', {
        details: { errors: faults },
        faults,
      });
    return {
      id: randomUUID(),
      building: building.id,
      device,
      set: body.set,
      expiresAt: new Date(expiryMsOf(body, nowMs)).toISOString(),
      acceptedAtMs: nowMs,
      by,
      idempotencyKey: idempotencyKey ?? null,
    };
  }

  async #write(record: CommandRecord): Promise<CommandLife> {
    const { book, writer, events } = this.#desk;
    const { id, building, device } = record;
    await writer.command(record);
    // From here on it may be delivered, whatever becomes of the answer.
    book.takeCommand(record);
    const at = new Date(record.acceptedAtMs).toISOString();
    await writer.state({ id, building, device, state: 'accepted', at });
    events.accepted(record, record.by);
    const life = book.get(building, id);
    if (!life) throw new PlatformError('NOT_FOUND', 'Cannot find the command');
    return life;
  }
}

function expiryMsOf({ expiresAt }: CommandBody, acceptedAtMs: number): number {
  const asked = expiresAt === undefined ? undefined : parseTime(expiresAt);
  return asked ?? acceptedAtMs + expiryDefaultMs;
}

/** What was asked for before, if it was the same. */
function same(life: CommandLife, { device, body }: Asked): CommandLife {
  const { record } = life;
  const isSame =
    record.device === device &&
    isDeepStrictEqual({ ...record.set }, { ...body.set }) &&
    Date.parse(record.expiresAt) === expiryMsOf(body, record.acceptedAtMs);
  if (isSame) return life;
  throw new PlatformError(
    'CONFLICT',
    'Cannot accept the command: its Idempotency-Key stood for another one',
  );
}
