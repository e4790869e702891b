import type { CommandRecord, CommandStateRecord } from '@domicile/core/command.ts';
import { acceptedLife, type CommandLife, hasExpired, withState } from './command-life.ts';

/** As long as their stream is kept. */
export const commandKeptMs = 30 * 86_400_000;
/** States that came before their command are kept for it, so many at most. */
export const orphansMax = 10_000;

/** The commands of a cell, as the streams `commands` and `command-states` tell them, in whatever order. */
export class CommandBook {
  readonly #lives = new Map<string, CommandLife>();
  readonly #orphans = new Map<string, CommandStateRecord[]>();
  readonly #keys = new Map<string, string>();
  /** Ids of those that wait to be taken by a gateway. */
  readonly #waiting = new Set<string>();

  takeCommand(record: CommandRecord): void {
    const id = lifeKey(record);
    if (this.#lives.has(id)) return;
    let life = acceptedLife(record);
    for (const told of this.#orphans.get(id) ?? []) life = withState(life, told);
    this.#orphans.delete(id);
    this.#put(id, life);
    if (record.idempotencyKey !== null)
      this.#keys.set(askedKey(record.building, record.by, record.idempotencyKey), id);
  }

  takeState(told: CommandStateRecord): void {
    const id = lifeKey(told);
    const life = this.#lives.get(id);
    if (life) this.#put(id, withState(life, told));
    else this.#keepOrphan(id, told);
  }

  get(building: string, id: string): CommandLife | undefined {
    return this.#lives.get(lifeKey({ building, id }));
  }

  /** What somebody asked for under an `Idempotency-Key` before. */
  askedBefore(building: string, by: string, key: string): CommandLife | undefined {
    const id = this.#keys.get(askedKey(building, by, key));
    return id === undefined ? undefined : this.#lives.get(id);
  }

  /** Those that nobody took in time. */
  expired(nowMs: number): CommandLife[] {
    const lives = [...this.#waiting].map((id) => this.#lives.get(id));
    return lives.filter((life) => life !== undefined).filter((life) => hasExpired(life, nowMs));
  }

  /** Drops what its stream no longer keeps. */
  forget(nowMs: number): void {
    for (const [id, { record }] of this.#lives) {
      if (nowMs - record.acceptedAtMs <= commandKeptMs) continue;
      this.#lives.delete(id);
      this.#waiting.delete(id);
      if (record.idempotencyKey !== null)
        this.#keys.delete(askedKey(record.building, record.by, record.idempotencyKey));
    }
  }

  #put(id: string, life: CommandLife): void {
    this.#lives.set(id, life);
    if (life.state === 'accepted') this.#waiting.add(id);
    else this.#waiting.delete(id);
  }

  #keepOrphan(id: string, told: CommandStateRecord): void {
    const kept = this.#orphans.get(id) ?? [];
    kept.push(told);
    this.#orphans.set(id, kept);
    const [oldest] = this.#orphans.keys();
    if (this.#orphans.size > orphansMax && oldest !== undefined) this.#orphans.delete(oldest);
  }
}

/** A gateway speaks for its own building alone, whatever id it names. */
function lifeKey({ building, id }: { building: string; id: string }): string {
  return `${building} ${id}`;
}

function askedKey(building: string, by: string, key: string): string {
  return JSON.stringify([building, by, key]);
}
