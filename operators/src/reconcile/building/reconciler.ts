import { buildingKind, cellKind, secretKind } from '../../model/kinds.ts';
import type { KubeObject, Ref } from '../../runtime/kube.ts';
import type { OperatorPorts } from '../../runtime/ports.ts';
import type { Dependency, Outcome, Reconciler } from '../../runtime/reconciler.ts';
import { cellInForce } from './cell-of.ts';
import { enrolmentLabel } from './enrolment-desk.ts';
import { erasureDefaults, Erasures, type ErasureSettings } from './erasure.ts';
import { buildingLabel } from './labels.ts';
import { Offboarding, revoke } from './offboarding.ts';
import { Onboarding } from './onboarding.ts';
import { BuildingParts } from './parts.ts';
import { type OpenRegistry, RegistryDesk } from './registry-desk.ts';

export interface BuildingReconcilerOptions {
  /** Where the processes of the cell are; in another one a change by hand is mended only at the next resync. */
  readonly cellNamespace?: string;
  readonly openRegistry?: OpenRegistry;
  readonly erasure?: Partial<ErasureSettings>;
}

/** Brings each `Building` into the registry and its gateway in, and takes it out again. Close it when it is stopped. */
export function createBuildingReconciler(
  ports: OperatorPorts,
  options: BuildingReconcilerOptions = {},
): Reconciler & AsyncDisposable {
  const { openRegistry = (of) => RegistryDesk.open(of), cellNamespace = 'domicile' } = options;
  const parts = new BuildingParts(ports, openRegistry);
  const erasures = new Erasures(parts, { ...erasureDefaults, ...options.erasure });
  return {
    name: 'building',
    kind: buildingKind,
    ...(ports.buildingNamespaces && { namespaces: ports.buildingNamespaces }),
    dependencies: dependenciesOf(ports, parts, cellNamespace),
    reconcile: async (ref, object) => {
      if (!object) return forget(parts, ref);
      return object.metadata.deletionTimestamp === undefined
        ? new Onboarding(parts, object).run()
        : new Offboarding(parts, erasures, object).run();
    },
    [Symbol.asyncDispose]: () => parts[Symbol.asyncDispose](),
  };
}

function dependenciesOf(
  { cache, country, buildingNamespaces }: OperatorPorts,
  parts: BuildingParts,
  cellNamespace: string,
): readonly Dependency[] {
  const namespaces = buildingNamespaces && { namespaces: buildingNamespaces };
  return [
    {
      kind: cellKind,
      // Its status changes often: who is served already does not mind, until there is no cell any more.
      ownersOf: () => {
        const all = cache.list(buildingKind);
        return (cellInForce(cache, country) ? all.filter(isWaiting) : all).map(refOf);
      },
    },
    {
      kind: secretKind,
      ...namespaces,
      labelSelector: buildingLabel,
      ownersOf: ({ metadata }) => {
        const name = metadata.labels?.[buildingLabel];
        return name === undefined ? [] : [{ name, namespace: metadata.namespace ?? '' }];
      },
    },
    {
      kind: secretKind,
      namespaces: [cellNamespace],
      labelSelector: enrolmentLabel,
      ownersOf: (secret, isGone) => {
        const drifted = parts.driftedEnrolments(secret, isGone);
        return cache
          .list(buildingKind)
          .filter(({ metadata }) => drifted.has(metadata.name))
          .map(refOf);
      },
    },
    {
      // Who waited for an older one that names the same building.
      kind: buildingKind,
      ...namespaces,
      ownersOf: ({ metadata }) =>
        cache
          .list(buildingKind)
          .filter((other) => other.metadata.name === metadata.name)
          .filter((other) => other.metadata.uid !== metadata.uid)
          .map(refOf),
    },
  ];
}

function refOf({ metadata: { name, namespace } }: KubeObject): Ref {
  return { name, ...(namespace !== undefined && { namespace }) };
}

function isWaiting({ status }: KubeObject): boolean {
  return !JSON.stringify(status ?? {}).includes('"Onboarded"');
}

/** Its resource is gone without us, as when somebody took the finalizer away: nobody declares it, so its gateway is refused. */
async function forget(parts: BuildingParts, { name, namespace }: Ref): Promise<Outcome> {
  const { cache, country } = parts.ports;
  const cell = cellInForce(cache, country);
  const registry = cell && (await parts.registries.of(cell));
  const entry = registry?.entry(name);
  const claim = entry?.claim;
  if (!cell || !registry || entry?.state !== 'active' || claim?.namespace !== namespace)
    return { kind: 'done' };
  const isDeclared = cache.list(buildingKind).some(({ metadata }) => metadata.name === name);
  if (isDeclared || !claim) return { kind: 'done' };
  const later = { ...claim, generation: claim.generation + 1 };
  await revoke(parts, { cell, registry, building: name, claim: later });
  return { kind: 'done' };
}
