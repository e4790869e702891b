import * as kinds from '../../model/kinds.ts';
import type { Kind, KubeObject, Ref } from '../../runtime/kube.ts';
import type { OperatorPorts } from '../../runtime/ports.ts';
import type { Dependency, Outcome, Reconciler } from '../../runtime/reconciler.ts';
import { enrolmentLabel } from '../building/enrolment-desk.ts';
import { CellDesk } from './cell-desk.ts';
import { placesOfOperator } from './operator-wall.ts';
import type { CellEnds, CellSettings } from './ports.ts';
import { realEnds } from './real-ends.ts';

const ofCluster: readonly Kind[] = [
  kinds.admissionBindingKind,
  kinds.admissionPolicyKind,
  kinds.nodeKind,
  kinds.storageClassKind,
];

const ofCell: readonly Kind[] = [
  kinds.autoscalerKind,
  kinds.configMapKind,
  kinds.deploymentKind,
  kinds.disruptionBudgetKind,
  kinds.networkPolicyKind,
  kinds.serviceAccountKind,
  kinds.serviceKind,
  kinds.statefulSetKind,
  kinds.volumeClaimKind,
];

/** Pods and nodes change many at once. */
const restMsMax = 2_000;

/** Enrolments change with every building, releases with every upgrade; neither is of the cell. */
function concerns({ type, metadata }: KubeObject): boolean {
  return type !== 'helm.sh/release.v1' && metadata.labels?.[enrolmentLabel] === undefined;
}

/** The control loop of `Cell`: Kafka, store, policies and processes of one country, in a safe order. */
export function createCellReconciler(
  ports: OperatorPorts,
  settings: CellSettings,
  ends: CellEnds = realEnds,
): Reconciler {
  const desk = new CellDesk(ports, settings, ends);
  const everyCell = (): readonly Ref[] =>
    ports.cache.list(kinds.cellKind).map(({ metadata }) => ({ name: metadata.name }));
  const dependencies: Dependency[] = [
    ...ofCluster.map((kind) => ({ kind, ownersOf: everyCell })),
    ...ofCell.map((kind) => ({
      kind,
      namespaces: [settings.cellNamespace],
      ownersOf: everyCell,
    })),
    {
      kind: kinds.podKind,
      namespaces: [...new Set([settings.cellNamespace, ...placesOfOperator(ports)])],
      ownersOf: everyCell,
    },
    {
      kind: kinds.secretKind,
      namespaces: [...new Set([ports.namespace, settings.cellNamespace])],
      ownersOf: (secret) => (concerns(secret) ? everyCell() : []),
    },
  ];
  return {
    name: 'cell',
    kind: kinds.cellKind,
    dependencies,
    restMs: Math.min(restMsMax, settings.cellResyncMs),
    reconcile: (_ref: Ref, object: KubeObject | undefined): Promise<Outcome> => desk.look(object),
  };
}
