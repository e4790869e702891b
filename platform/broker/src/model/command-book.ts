import type { CommandRecord, CommandStateRecord } from '@domicile/core/command.ts';

export interface PendingCommand {
  readonly record: CommandRecord;
  readonly expiresAtMs: number;
}

/**
 * Which commands still have to reach their gateways: from their record until a state that only a gateway
 * or the end can give, or until they expire. PUBACK is nobody's word that a command arrived. States may be
 * read before their commands, as they come from another stream.
 */
export class CommandBook {
  readonly #closedMax: number;
  readonly #pending = new Map<string, Map<string, PendingCommand>>();
  /** Ids whose commands need no sending, oldest first. */
  readonly #closed = new Set<string>();

  constructor(closedMax: number) {
    this.#closedMax = closedMax;
  }

  get size(): number {
    let commands = 0;
    for (const ofBuilding of this.#pending.values()) commands += ofBuilding.size;
    return commands;
  }

  /** The command, if it is to be sent now. */
  add(record: CommandRecord, nowMs: number): PendingCommand | undefined {
    const expiresAtMs = Date.parse(record.expiresAt);
    if (!(expiresAtMs > nowMs) || this.#closed.has(keyOf(record))) return undefined;
    const command = { record, expiresAtMs };
    const ofBuilding = this.#pending.get(record.building) ?? new Map<string, PendingCommand>();
    this.#pending.set(record.building, ofBuilding.set(record.id, command));
    return command;
  }

  note({ building, id, state }: CommandStateRecord): void {
    if (state === 'accepted') return;
    this.#remove(building, id);
    this.#closed.add(keyOf({ building, id }));
    const [oldest] = this.#closed;
    if (this.#closed.size > this.#closedMax && oldest !== undefined) this.#closed.delete(oldest);
  }

  /** In the order of their records; what expired is left out and forgotten. */
  pendingOf(building: string, nowMs: number): readonly PendingCommand[] {
    const all = [...(this.#pending.get(building)?.values() ?? [])];
    for (const { record, expiresAtMs } of all) {
      if (expiresAtMs <= nowMs) this.#remove(building, record.id);
    }
    return all.filter(({ expiresAtMs }) => expiresAtMs > nowMs);
  }

  expire(nowMs: number): void {
    for (const building of this.#pending.keys()) this.pendingOf(building, nowMs);
  }

  #remove(building: string, id: string): void {
    const ofBuilding = this.#pending.get(building);
    ofBuilding?.delete(id);
    if (ofBuilding?.size === 0) this.#pending.delete(building);
  }
}

/** Ids hold no slash. */
const keyOf = ({ building, id }: { building: string; id: string }): string => `${building}/${id}`;
