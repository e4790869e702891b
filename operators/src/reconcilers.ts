import type { OperatorConfig } from './config.ts';
import { createBuildingReconciler } from './reconcile/building/reconciler.ts';
import type { OperatorPorts } from './runtime/ports.ts';
import type { Reconciler } from './runtime/reconciler.ts';

/** Every control loop of the operator. */
export function reconcilersOf(config: OperatorConfig, ports: OperatorPorts): readonly Reconciler[] {
  return [createBuildingReconciler(ports, { cellNamespace: config.OPERATOR_CELL_NAMESPACE })];
}
