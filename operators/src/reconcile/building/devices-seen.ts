import { PlatformError } from '@domicile/core/errors.ts';
import { Counter, Gauge } from 'prom-client';
import { type SeenChange, seenChanges } from '../../model/building/devices-told.ts';
import { buildingKind, cellKind } from '../../model/kinds.ts';
import type { OperatorPorts } from '../../runtime/ports.ts';
import type { Outcome, Reconciler } from '../../runtime/reconciler.ts';
import { type AskDevicesSeen, askServingApi } from './ask-devices-seen.ts';
import { type CellInForce, cellInForce } from './cell-of.ts';

export interface DevicesSeenOptions {
  /** How often the serving API is asked. */
  readonly everyMs?: number;
  /** Between two writes of one building's count. */
  readonly writeEveryMs?: number;
  readonly ask?: AskDevicesSeen;
}

const everyMsDefault = 30_000;
const writeEveryMsDefault = 60_000;
/** After one answer; the others' turn comes with the next ones. */
const writesMax = 100;
const writesAtOnce = 8;
const rememberedMax = 20_000;

/**
 * Tells in each Building's status how many of its devices spoke lately, as one serving API of the cell says. It is not asked for
 * readings, and nothing depends on its answer: while there is none, what was told last stays.
 */
export function createDevicesSeen(
  ports: OperatorPorts,
  options: DevicesSeenOptions = {},
): Reconciler {
  const { everyMs = everyMsDefault, writeEveryMs = writeEveryMsDefault } = options;
  const desk = new SeenDesk(ports, { writeEveryMs, ask: options.ask ?? askServingApi });
  const { cache, country, buildingNamespaces } = ports;
  return {
    name: 'devices-seen',
    kind: cellKind,
    dependencies: [
      {
        kind: buildingKind,
        ...(buildingNamespaces && { namespaces: buildingNamespaces }),
        // They are only looked up: a change of one is no reason to ask.
        ownersOf: () => [],
      },
    ],
    restMs: everyMs,
    async reconcile(ref, _object, signal): Promise<Outcome> {
      const cell = cellInForce(cache, country);
      if (cell?.name !== ref.name) return { kind: 'done' };
      await desk.look(cell, signal);
      return { kind: 'again', afterMs: everyMs };
    },
  };
}

class SeenDesk {
  readonly #ports: OperatorPorts;
  readonly #ask: AskDevicesSeen;
  readonly #writeEveryMs: number;
  readonly #events: ReturnType<typeof seenEvents>;
  readonly #writtenAtMs = new Map<string, number>();

  constructor(ports: OperatorPorts, of: { writeEveryMs: number; ask: AskDevicesSeen }) {
    this.#ports = ports;
    this.#ask = of.ask;
    this.#writeEveryMs = of.writeEveryMs;
    this.#events = seenEvents(ports);
  }

  async look(cell: CellInForce, signal: AbortSignal): Promise<void> {
    const counted = await this.#counted(cell, signal);
    if (!counted) return;
    const { cache, now } = this.#ports;
    const changes = seenChanges(cache.list(buildingKind), counted, {
      writtenAtMs: this.#writtenAtMs,
      nowMs: now(),
      everyMs: this.#writeEveryMs,
      changesMax: writesMax,
    });
    const waiting = changes.values();
    const write = async () => {
      for (const change of waiting) await this.#write(change);
    };
    await Promise.all(Array.from({ length: writesAtOnce }, write));
  }

  /** Undefined if nobody tells: that harms nobody, and is asked again. */
  async #counted(cell: CellInForce, signal: AbortSignal) {
    try {
      const counted = await this.#ask(cell, signal);
      this.#events.told();
      return counted;
    } catch (error) {
      if (!(error instanceof PlatformError)) throw error;
      this.#events.notTold(error);
      return undefined;
    }
  }

  async #write({ object, devices }: SeenChange): Promise<void> {
    const { name, namespace = '', resourceVersion, uid = '' } = object.metadata;
    const patch = { metadata: { resourceVersion }, status: { devices } };
    try {
      const ref = { name, namespace };
      await this.#ports.kube.patch(buildingKind, ref, patch, { subresource: 'status' });
    } catch (error) {
      // Changed or gone since: it is looked at with the next answer.
      const code = error instanceof PlatformError ? error.code : undefined;
      if (code !== 'CONFLICT' && code !== 'NOT_FOUND') throw error;
      return;
    }
    if (this.#writtenAtMs.size >= rememberedMax) this.#writtenAtMs.clear();
    this.#writtenAtMs.set(uid, this.#ports.now());
  }
}

function seenEvents({ log, registry, now }: OperatorPorts) {
  const registers = [registry];
  const asks = new Counter({
    name: 'domicile_devices_seen_asks_total',
    help: 'Questions to the serving API how many devices spoke lately, by what came of them',
    labelNames: ['result'],
    registers,
  });
  const toldAt = new Gauge({
    name: 'domicile_devices_seen_last_answer_timestamp_seconds',
    help: 'When the serving API told last how many devices spoke lately; what Buildings say is as old',
    registers,
  });
  let isAway = false;
  return {
    told() {
      asks.inc({ result: 'told' });
      toldAt.set(now() / 1000);
      if (isAway) log.info('The serving API tells again how many devices spoke lately');
      isAway = false;
    },
    notTold(error: PlatformError) {
      asks.inc({ result: 'not-told' });
      // Once, not every half minute: the metric goes on.
      if (!isAway)
        log.warn(
          { why: error.message },
          'The serving API does not tell how many devices spoke lately; Buildings keep what it told last',
        );
      isAway = true;
    },
  };
}
