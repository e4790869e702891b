import type { CountryPack } from '@domicile/core/country-pack.ts';
import { PlatformError } from '@domicile/core/errors.ts';
import { type CellSpec, parseCellSpec } from '@domicile/core/resources/cell.ts';
import { type Refusal, refusalOf } from '../../model/cell/admissible.ts';
import { foundPlaces, type FoundPlaces } from '../../model/cell/found-places.ts';
import * as kinds from '../../model/kinds.ts';
import type { Breach, NodePlace } from '../../model/residency-guard.ts';
import type { KubeObject } from '../../runtime/kube.ts';
import type { OperatorPorts } from '../../runtime/ports.ts';
import type { Outcome } from '../../runtime/reconciler.ts';
import type { ConditionNow } from '../../runtime/status-writer.ts';
import { cellInForce } from '../building/cell-of.ts';
import { type CellEvents, cellEvents } from './cell-events.ts';
import { type BaseWaits, ClusterPart } from './cluster-part.ts';
import { readPack } from './country-packs.ts';
import { placesOfOperator } from './operator-wall.ts';
import { OutsidePart, type Outside } from './outside-part.ts';
import type { CellEnds, CellSettings } from './ports.ts';
import { notYet } from './step.ts';

/** A policy that was just written, or a namespace on its way out, is looked at again after this. */
const soonMs = 1_000;
/** What is not as it should be is looked at again after this. */
const troubledMs = 15_000;

/** Told in the status; the definition of Cell takes no more. */
const placesMax = 200;

/** What one look at a Cell works with. */
export interface CellLook {
  readonly cell: KubeObject;
  readonly uid: string;
  readonly spec: CellSpec;
  readonly pack: CountryPack;
}

/** Looks at the Cell of the cluster, brings about what is missing and tells what it found. */
export class CellDesk {
  readonly #ports: OperatorPorts;
  readonly #settings: CellSettings;
  readonly #events: CellEvents;
  readonly #outside: OutsidePart;
  readonly #cluster: ClusterPart;
  /** On which the pods were at the last look. */
  #nodes: readonly NodePlace[] = [];

  constructor(ports: OperatorPorts, settings: CellSettings, ends: CellEnds) {
    this.#ports = ports;
    this.#settings = settings;
    this.#events = cellEvents(ports);
    this.#outside = new OutsidePart({ ports, settings, ends, events: this.#events });
    this.#cluster = new ClusterPart({ ports, settings, events: this.#events });
  }

  async look(cell: KubeObject | undefined): Promise<Outcome> {
    const { uid, deletionTimestamp } = cell?.metadata ?? {};
    if (cell === undefined || uid === undefined) {
      // What it owned goes with it; topics, buckets, keys and the namespace have no owner and stay.
      if (cellInForce(this.#ports.cache, this.#ports.country) === undefined) this.#events.gone();
      return { kind: 'done' };
    }
    const admitted = await this.#admit(cell, uid);
    if ('reason' in admitted) return this.#refuse(cell, admitted);
    if (deletionTimestamp !== undefined) return this.#leave(admitted);
    return this.#bringAbout(admitted);
  }

  async #admit(cell: KubeObject, uid: string): Promise<CellLook | Refusal> {
    const { cache, country } = this.#ports;
    const { cellNamespace, regionsDir } = this.#settings;
    let spec: CellSpec;
    try {
      spec = parseCellSpec(cell['spec']);
    } catch (error) {
      if (!(error instanceof PlatformError)) throw error;
      const reason = error.code === 'RESIDENCY_VIOLATION' ? 'RegionAbroad' : 'SpecInvalid';
      return { reason, message: error.message };
    }
    const pack = await readPack(regionsDir, spec.country);
    const inForce = cellInForce(cache, country)?.name;
    const refusal = refusalOf(cell.metadata.name, spec, { country, cellNamespace, pack, inForce });
    if (refusal) return refusal;
    if (pack === undefined) throw new PlatformError('VALUE_INVALID', 'there is no country pack');
    return { cell, uid, spec, pack };
  }

  async #refuse(cell: KubeObject, { reason, message }: Refusal): Promise<Outcome> {
    const isAbroad = reason === 'CountryOther' || reason === 'RegionAbroad';
    await this.#ports.status.write(kinds.cellKind, cell, {
      conditions: [
        notYet('Ready', reason, message),
        isAbroad
          ? notYet('ResidencyVerified', reason, message)
          : { type: 'ResidencyVerified', status: 'Unknown', reason, message: 'not looked at' },
      ],
      fields: {},
    });
    this.#ports.events.record(cell, {
      type: 'Warning',
      reason,
      action: 'Admit',
      note: message,
    });
    return { kind: 'refused', reason };
  }

  /** That may take long, as where somebody waits for what it owns: until then its pods run, and are held at home. */
  async #leave(look: CellLook): Promise<Outcome> {
    const found = this.#lookAtPlaces(look);
    this.#events.residency(look.cell, found.breaches);
    await this.#cluster.keepWalls(look);
    const message = 'the Cell is being deleted: what it owns goes, data and keys stay';
    const base = [
      notYet('WorkloadsReady', 'Terminating', message),
      ...['KafkaReady', 'StoreReady'].map((type) => unseen(type, 'Terminating', message)),
    ];
    await this.#tell(look, { found, base });
    return { kind: 'again', afterMs: troubledMs };
  }

  async #bringAbout(look: CellLook): Promise<Outcome> {
    const found = this.#lookAtPlaces(look);
    const base = await this.#cluster.base(look);
    if (base.kind === 'waits') {
      this.#events.residency(look.cell, found.breaches);
      await this.#tell(look, { found, base: [base.condition, ...unseenBehind(base)] });
      if (base.error === undefined) return { kind: 'again', afterMs: soonMs };
      this.#events.troubled(look.cell, base.condition, base.error);
      return { kind: 'again', afterMs: troubledMs };
    }
    const outside = await this.#outside.look(look, base);
    const processes = await this.#cluster.processes(look, { base, outside, found });
    const { kafka, store } = outside;
    const breaches = [...kafka.breaches, ...store.breaches, ...found.breaches];
    this.#events.residency(look.cell, breaches);
    this.#events.looked(look.cell);
    await this.#tell(look, {
      found,
      outside,
      base: [base.condition, processes.condition],
      replicas: processes.replicas,
    });
    for (const { condition, error } of [kafka, store, processes])
      if (error !== undefined) this.#events.troubled(look.cell, condition, error);
    const { cellResyncMs } = this.#settings;
    const isFine =
      breaches.length === 0 && kafka.isProved && store.isProved && processes.error === undefined;
    // Asked again at a steady pace: after a long outage nobody wants to wait for long.
    return { kind: 'again', afterMs: isFine ? cellResyncMs : Math.min(cellResyncMs, troubledMs) };
  }

  #lookAtPlaces({ spec }: CellLook): FoundPlaces {
    const { cache } = this.#ports;
    const home = { country: spec.country, regions: spec.regions };
    const namespaces = [spec.namespace, ...placesOfOperator(this.#ports)];
    const pods = namespaces.flatMap((namespace) => cache.list(kinds.podKind, { namespace }));
    const found = foundPlaces(home, pods, cache.list(kinds.nodeKind), this.#nodes);
    this.#nodes = found.nodes;
    return found;
  }

  async #tell(
    { cell, spec }: CellLook,
    told: {
      readonly found: FoundPlaces;
      readonly outside?: Outside;
      readonly base: readonly ConditionNow[];
      readonly replicas?: string;
    },
  ): Promise<void> {
    const { found, outside } = told;
    const parts = [
      ...(outside ? [outside.kafka.condition, outside.store.condition] : []),
      ...told.base,
    ];
    const residency = residencyOf(found, outside);
    const all = [residency, ...parts];
    // A breach first, then what there is to do.
    const ranked = residency.status === 'False' ? all : [...parts, residency];
    const open = ranked.find(({ status }) => status !== 'True');
    const ready: ConditionNow = open
      ? { type: 'Ready', status: 'False', reason: open.reason, message: open.message }
      : {
          type: 'Ready',
          status: 'True',
          reason: 'AsDeclared',
          message: 'everything is as declared',
        };
    await this.#ports.status.write(kinds.cellKind, cell, {
      conditions: [ready, ...all],
      fields: {
        country: spec.country,
        ...(told.replicas !== undefined && { replicas: told.replicas }),
        residency: placesOf(found, outside),
      },
    });
  }
}

/** What was found before says nothing of what is there now, as where the namespace is gone. */
function unseenBehind({ condition: { reason, type } }: BaseWaits): ConditionNow[] {
  // That passes within seconds.
  if (reason === 'PoliciesNotActive') return [];
  const message = `not looked at: see ${type}`;
  return ['KafkaReady', 'StoreReady', 'WorkloadsReady'].map((one) =>
    unseen(one, 'WaitsForThePolicies', message),
  );
}

function unseen(type: string, reason: string, message: string): ConditionNow {
  return { type, status: 'Unknown', reason, message };
}

function residencyOf({ breaches: here }: FoundPlaces, outside: Outside | undefined): ConditionNow {
  const type = 'ResidencyVerified';
  const breaches: readonly Breach[] = [
    ...(outside?.kafka.breaches ?? []),
    ...(outside?.store.breaches ?? []),
    ...here,
  ];
  const [first] = breaches;
  if (first !== undefined)
    return {
      type,
      status: 'False',
      reason: first.reason,
      message: breaches
        .map(({ evidence }) => evidence)
        .join('; ')
        .slice(0, 4_000),
    };
  if (outside?.kafka.isProved === true && outside.store.isProved)
    return {
      type,
      status: 'True',
      reason: 'AllAtHome',
      message: 'brokers, replicas, buckets and nodes were looked at, and all are in the country',
    };
  return {
    type,
    status: 'Unknown',
    reason: 'NotLookedAt',
    message: 'not everything could be looked at yet: see KafkaReady and StoreReady',
  };
}

function placesOf({ nodes }: FoundPlaces, outside: Outside | undefined) {
  return {
    brokers: (outside?.kafka.brokers ?? []).slice(0, placesMax).map(({ id, rack }) => ({
      id,
      ...(rack !== undefined && { rack }),
    })),
    buckets: (outside?.store.buckets ?? []).map(({ bucket, location }) => ({
      name: bucket,
      location,
    })),
    nodes: nodes
      .slice(0, placesMax)
      .map(({ name, region }) => ({ name, ...(region !== undefined && { region }) })),
  };
}
