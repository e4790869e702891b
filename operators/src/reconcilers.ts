import type { OperatorConfig } from './config.ts';
import { createDevicesSeen } from './reconcile/building/devices-seen.ts';
import { createBuildingReconciler } from './reconcile/building/reconciler.ts';
import { createOperatorWallReconciler } from './reconcile/cell/operator-wall.ts';
import { createCellReconciler } from './reconcile/cell/reconciler.ts';
import type { OperatorPorts } from './runtime/ports.ts';
import type { Reconciler } from './runtime/reconciler.ts';

/** Every control loop of the operator. */
export function reconcilersOf(config: OperatorConfig, ports: OperatorPorts): readonly Reconciler[] {
  const cellNamespace = config.OPERATOR_CELL_NAMESPACE;
  return [
    createOperatorWallReconciler(ports, cellNamespace),
    createCellReconciler(ports, {
      imageTag: config.OPERATOR_IMAGE_TAG,
      regionsDir: config.OPERATOR_REGIONS_DIR,
      cellNamespace,
      cellResyncMs: config.OPERATOR_CELL_RESYNC_MS,
    }),
    createBuildingReconciler(ports, {
      cellNamespace,
      erasure: {
        settleMs: config.OPERATOR_ERASURE_SETTLE_MS,
        kafkaRetentionMs: config.OPERATOR_ERASURE_KAFKA_RETENTION_MS,
        graceMs: config.OPERATOR_ERASURE_GRACE_MS,
        imageTag: config.OPERATOR_IMAGE_TAG,
        regionsDir: config.OPERATOR_REGIONS_DIR,
      },
    }),
    createDevicesSeen(ports, { everyMs: config.OPERATOR_DEVICES_SEEN_EVERY_MS }),
  ];
}
