import { PlatformError } from '@domicile/core/errors.ts';
import type { KeyPair } from '@domicile/runtime/certificates.ts';
import { admissionObjects } from '../../model/cell/admission.ts';
import { type DesiredCell, desiredCell, objectBreaches } from '../../model/cell/desired.ts';
import type { FoundPlaces } from '../../model/cell/found-places.ts';
import { type CellPlan, labelsOf, namespaceOf } from '../../model/cell/plan.ts';
import { workloadState } from '../../model/cell/workload-state.ts';
import { issuerState } from '../../model/cell/workloads.ts';
import * as kinds from '../../model/kinds.ts';
import type { KubeObject } from '../../runtime/kube.ts';
import type { OperatorPorts } from '../../runtime/ports.ts';
import type { ConditionNow } from '../../runtime/status-writer.ts';
import type { CellLook } from './cell-desk.ts';
import type { CellEvents } from './cell-events.ts';
import { digestsOf, keepAuthority, keepDoors, keepServers, type Where } from './cell-secrets.ts';
import { type Kept, kindOf, ObjectKeeper } from './object-keeper.ts';
import { wallOfOperator } from './operator-wall.ts';
import type { Outside } from './outside-part.ts';
import { policiesHold } from './policy-probe.ts';
import type { CellSettings } from './ports.ts';
import { Revocations } from './revocations.ts';
import { SecretKeeper } from './secret-keeper.ts';
import { failed, fine, notYet } from './step.ts';

export interface Base {
  readonly kind: 'ready';
  readonly condition: ConditionNow;
  readonly where: Where;
  readonly plan: CellPlan;
  readonly authority: KeyPair;
}

export interface BaseWaits {
  readonly kind: 'waits';
  readonly condition: ConditionNow;
  readonly error?: unknown;
}

export interface Processes {
  readonly condition: ConditionNow;
  /** Not all could be done. */
  readonly error?: unknown;
  /** Ready, of those wanted: `17/17`. */
  readonly replicas: string;
}

interface Parts {
  readonly ports: OperatorPorts;
  readonly settings: CellSettings;
  readonly events: CellEvents;
}

/** What of a cell lies on the API server: policies first, then secrets, then processes. */
export class ClusterPart {
  readonly #parts: Parts;
  readonly #keeper: ObjectKeeper;
  readonly #revocations: Revocations;
  /** The policies by which a workload without a pin was refused. */
  #holding: string | undefined;

  constructor(parts: Parts) {
    this.#parts = parts;
    this.#keeper = new ObjectKeeper(parts.ports);
    this.#revocations = new Revocations(parts.ports);
  }

  async base(look: CellLook): Promise<Base | BaseWaits> {
    try {
      return await this.#base(look);
    } catch (error) {
      const { condition } = failed('PoliciesReady', 'Policies', error);
      return { kind: 'waits', condition, error };
    }
  }

  async #base(look: CellLook): Promise<Base | BaseWaits> {
    const plan = this.#planOf(look);
    const { namespace } = look.spec;
    const { kube, cache, namespace: operatorNamespace, now } = this.#parts.ports;
    const found = await kube.get(kinds.namespaceKind, { name: namespace });
    if (found?.metadata.deletionTimestamp !== undefined)
      return waits('NamespaceTerminating', `the namespace ${namespace} is being deleted`);
    await kube.apply(kinds.namespaceKind, namespaceOf(plan));
    const waiting = await this.#policies(look, plan);
    if (waiting) return waiting;
    const keeper = new SecretKeeper({ kube, cache, labels: labelsOf(plan) });
    const where = { keeper, spec: look.spec, operatorNamespace, nowMs: now() };
    const authority = await keepAuthority(where);
    await keepServers(where, authority);
    await keepDoors(where);
    const condition = fine(
      'PoliciesReady',
      'Enforced',
      'the API server refuses what is not pinned to the regions of the cell, or of the country where the operator and buildings are',
    );
    return { kind: 'ready', condition, where, plan, authority };
  }

  /** Of a cell that is on its way out. What it owns goes; what holds the rest at home stays. */
  async keepWalls(look: CellLook): Promise<void> {
    for (const object of admissionObjects(this.#planOf(look))) await this.#keeper.keep(object);
  }

  /** What is there already must hold before anything is made that it is to hold. */
  async #policies(look: CellLook, plan: CellPlan): Promise<BaseWaits | undefined> {
    const { ports } = this.#parts;
    const wall = wallOfOperator(ports, plan.spec.namespace);
    const policies = [...wall, ...desiredCell(plan, '').policies];
    for (const object of policies)
      if ((await this.#keep(look, object)) !== 'as-it-was') this.#holding = undefined;
    const version = JSON.stringify(policies);
    if (this.#holding === version) return undefined;
    if (!(await policiesHold(ports.kube, plan)))
      return waits('PoliciesNotActive', 'the API server has not taken up the policies yet');
    this.#holding = version;
    return undefined;
  }

  async processes(
    look: CellLook,
    of: { readonly base: Base; readonly outside: Outside; readonly found: FoundPlaces },
  ): Promise<Processes> {
    const { base, outside, found } = of;
    const plan = {
      ...base.plan,
      digests: await digestsOf(base.where),
      hasKafkaCa: outside.hasKafkaCa,
    };
    const desired = desiredCell(plan, base.authority.certificate);
    if (found.breaches.length > 0) return this.#told(desired, plan, stopOf(found));
    const isReady = [outside.kafka, outside.store].every(
      ({ condition }) => condition.status === 'True',
    );
    try {
      await this.#bringAbout(look, { plan, desired, mayBegin: isReady });
    } catch (error) {
      const { condition } = failed('WorkloadsReady', 'Workloads', error);
      return { ...this.#told(desired, plan, condition), error };
    }
    return this.#told(desired, plan, isReady ? undefined : waitOf(outside));
  }

  async #bringAbout(
    look: CellLook,
    of: { readonly plan: CellPlan; readonly desired: DesiredCell; readonly mayBegin: boolean },
  ): Promise<void> {
    const { plan, desired, mayBegin } = of;
    for (const object of desired.configs) await this.#keep(look, object);
    await this.#revocations.keep(look.cell, plan);
    for (const { objects } of desired.workloads)
      for (const object of objects) await this.#keepOf(look, { plan, object, mayBegin });
    const all = [
      ...desired.policies,
      ...desired.configs,
      ...desired.workloads.flatMap(({ objects }) => objects),
    ];
    const taken = await this.#keeper.prune(look.uid, plan.spec.namespace, all);
    for (const name of taken) this.#parts.events.changed(look.cell, name, 'is not wanted any more');
  }

  /** Processes begin only when what they stand on is there; those that run are kept as they should be. */
  async #keepOf(
    look: CellLook,
    of: { readonly plan: CellPlan; readonly object: KubeObject; readonly mayBegin: boolean },
  ): Promise<void> {
    const { plan, object, mayBegin } = of;
    const [breach] = objectBreaches(plan, object);
    if (breach) throw new PlatformError('RESIDENCY_VIOLATION', breach.evidence);
    const isProcess = object.kind === 'Deployment' || object.kind === 'StatefulSet';
    if (isProcess && !mayBegin && this.#live(plan, object) === undefined) return;
    await this.#keep(look, object);
  }

  /** Of a Cell that was deleted meanwhile nothing is made its own again: it would go with it. */
  async #keep({ cell, uid }: CellLook, object: KubeObject): Promise<Kept> {
    const now = this.#parts.ports.cache.get(kinds.cellKind, { name: cell.metadata.name });
    if (now?.metadata.uid !== uid || now.metadata.deletionTimestamp !== undefined)
      throw new PlatformError('CONFLICT', 'Cannot go on: the Cell was deleted meanwhile');
    const kept = await this.#keeper.keep(object);
    // Whoever asks later who took it away, or changed it, finds when it was put back.
    if (kept !== 'as-it-was')
      this.#parts.events.changed(
        cell,
        `${object.kind} ${object.metadata.name}`,
        kept === 'restored'
          ? 'was changed or deleted by somebody else, and is as declared again'
          : 'is as declared',
      );
    return kept;
  }

  #live(plan: CellPlan, object: KubeObject): KubeObject | undefined {
    const { name } = object.metadata;
    return this.#parts.ports.cache.get(kindOf(object), { name, namespace: plan.spec.namespace });
  }

  #told(desired: DesiredCell, plan: CellPlan, instead: ConditionNow | undefined): Processes {
    const states = desired.workloads.map(({ workload }) => {
      const kind = workload.kind === 'Deployment' ? kinds.deploymentKind : kinds.statefulSetKind;
      const ref = { name: workload.name, namespace: plan.spec.namespace };
      const live = this.#parts.ports.cache.get(kind, ref);
      return live
        ? workloadState(live)
        : { name: workload.name, wanted: workload.replicas, ready: 0, isSettled: false };
    });
    const ready = states.reduce((sum, state) => sum + Math.min(state.ready, state.wanted), 0);
    const wanted = states.reduce((sum, state) => sum + state.wanted, 0);
    const open = states.filter(({ isSettled }) => !isSettled);
    const replicas = `${ready}/${wanted}`;
    const message = open.map((one) => `${one.name} ${one.ready}/${one.wanted}`).join(', ');
    const condition =
      open.length === 0
        ? fine('WorkloadsReady', 'AllReady', `${replicas} replicas are ready`)
        : notYet('WorkloadsReady', 'NotReady', `waits for ${message}`);
    return { condition: instead ?? condition, replicas };
  }

  #planOf({ cell, uid, spec, pack }: CellLook): CellPlan {
    const { ports, settings } = this.#parts;
    const { namespace } = spec;
    const replicasNow = ports.cache
      .list(kinds.deploymentKind, { namespace })
      .map((object) => [object.metadata.name, workloadState(object).wanted] as const);
    return {
      name: cell.metadata.name,
      uid,
      spec,
      pack,
      imageTag: settings.imageTag,
      operatorUser: ports.user,
      digests: new Map(),
      hasStorage: this.#hasStorage(namespace),
      hasKafkaCa: false,
      replicasNow: new Map(replicasNow),
    };
  }

  /** What was kept once on a volume stays there. */
  #hasStorage(namespace: string): boolean {
    const { cache } = this.#parts.ports;
    const claim = cache.get(kinds.volumeClaimKind, { name: issuerState, namespace });
    const isDefault = 'storageclass.kubernetes.io/is-default-class';
    const classes = cache.list(kinds.storageClassKind);
    return (
      claim !== undefined ||
      classes.some(({ metadata }) => metadata.annotations?.[isDefault] === 'true')
    );
  }
}

function waits(reason: string, message: string): BaseWaits {
  return { kind: 'waits', condition: notYet('PoliciesReady', reason, message) };
}

function stopOf({ breaches }: FoundPlaces): ConditionNow {
  return notYet(
    'WorkloadsReady',
    breaches[0]?.reason ?? 'Breach',
    `no process is changed until this is put right: ${breaches.map(({ evidence }) => evidence).join('; ')}`,
  );
}

function waitOf({ kafka, store }: Outside): ConditionNow {
  const waitsFor = [kafka, store]
    .filter(({ condition }) => condition.status !== 'True')
    .map(({ condition }) => condition.type);
  return notYet(
    'WorkloadsReady',
    'WaitsForTheOutside',
    `no process is begun before ${waitsFor.join(' and ')}`,
  );
}
