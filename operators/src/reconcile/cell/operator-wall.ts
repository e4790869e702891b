import { operatorAdmission } from '../../model/cell/admission.ts';
import * as kinds from '../../model/kinds.ts';
import type { KubeObject, Ref } from '../../runtime/kube.ts';
import type { OperatorPorts } from '../../runtime/ports.ts';
import type { Outcome, Reconciler } from '../../runtime/reconciler.ts';
import { ObjectKeeper } from './object-keeper.ts';

type Places = Pick<OperatorPorts, 'namespace' | 'buildingNamespaces'>;

/** Where pods are held at home beside the cell's own namespace: Secrets lie there that open Kafka, the store and the broker. */
export function placesOfOperator({ namespace, buildingNamespaces = [] }: Places): string[] {
  return [...new Set([namespace, ...buildingNamespaces])];
}

export function wallOfOperator(
  { country, namespace, buildingNamespaces = [] }: Places & Pick<OperatorPorts, 'country'>,
  cellNamespace: string,
): KubeObject[] {
  const guarded = { operatorNamespace: namespace, cellNamespace, buildingNamespaces };
  return operatorAdmission(country, guarded);
}

/** Nothing else changes them but people. */
const restMs = 1_000;

/**
 * The control loop of the policies that hold operator, cell and Buildings in the country. It needs no Cell: the Secrets are there
 * before one is declared and after it is deleted.
 */
export function createOperatorWallReconciler(
  ports: OperatorPorts,
  cellNamespace: string,
): Reconciler {
  const keeper = new ObjectKeeper(ports);
  const wanted = wallOfOperator(ports, cellNamespace);
  const names = new Set(wanted.map(({ metadata }) => metadata.name));
  const itself: readonly Ref[] = [...names].slice(0, 1).map((name) => ({ name }));
  const ownersOf = ({ metadata }: KubeObject) => (names.has(metadata.name) ? itself : []);
  return {
    name: 'operator-wall',
    kind: kinds.admissionPolicyKind,
    always: itself,
    dependencies: [
      { kind: kinds.admissionPolicyKind, ownersOf },
      { kind: kinds.admissionBindingKind, ownersOf },
    ],
    restMs,
    reconcile: async ({ name }: Ref): Promise<Outcome> => {
      // Of all policies of the cluster one stands for ours.
      if (itself.every((one) => one.name !== name)) return { kind: 'done' };
      for (const object of wanted)
        if ((await keeper.keep(object)) !== 'as-it-was')
          ports.log.info(
            { kind: object.kind, name: object.metadata.name },
            'The operator’s namespaces are held at home by this',
          );
      return { kind: 'done' };
    },
  };
}
