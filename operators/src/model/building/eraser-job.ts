import { kafkaAccess, lakeAccess, settings, together } from '../cell/access.ts';
import type { CellPlan } from '../cell/plan.ts';
import { pinnedPod } from '../cell/pod.ts';
import type { ErasurePassName } from './erasure-step.ts';

export interface EraserJob {
  readonly plan: CellPlan;
  readonly building: string;
  /** Of the resource that was deleted. */
  readonly id: string;
  readonly pass: ErasurePassName;
  readonly graceMs: number;
  readonly isExported: boolean;
  readonly labels: Readonly<Record<string, string>>;
}

/** Of a name 63 characters are taken; ids of buildings have as many. */
export function eraserJobName({ id, pass }: Pick<EraserJob, 'id' | 'pass'>): string {
  return `erase-${id.toLowerCase().replaceAll(/[^a-z0-9-]/g, '')}-${pass}`.slice(0, 63);
}

/** One pass of the eraser, as a process of the cell with an identity of its own. It is tried again until it is done. */
export function eraserJob(job: EraserJob) {
  const { plan, building, id, pass, graceMs, isExported, labels } = job;
  const template = pinnedPod(plan, {
    component: 'eraser',
    entry: 'operators/src/eraser-main.ts',
    access: together(
      kafkaAccess(plan.spec, 'eraser', { hasCa: plan.hasKafkaCa }),
      lakeAccess(plan.spec, 'eraser', ['landing', 'serving']),
      settings({
        CELL_COUNTRY: plan.spec.country,
        ERASER_BUILDING: building,
        ERASER_ID: id,
        ERASER_PASS: pass,
        ERASER_EXPORT: `${isExported}`,
        ERASER_PARTITIONS: `${plan.spec.kafka.partitions}`,
        ERASER_SOFT_DELETE_DAYS: `${plan.spec.lake.softDeleteDays}`,
        ERASER_GRACE_MS: `${graceMs}`,
      }),
    ),
    cpu: '100m',
    memory: '1Gi',
    graceSeconds: 30,
  });
  return {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: {
      name: eraserJobName(job),
      namespace: plan.spec.namespace,
      labels: { ...template.metadata.labels, ...labels },
    },
    spec: {
      backoffLimit,
      ttlSecondsAfterFinished: keptSeconds,
      template: {
        metadata: { ...template.metadata, labels: { ...template.metadata.labels, ...labels } },
        spec: { ...template.spec, restartPolicy: 'Never' },
      },
    },
  };
}

/** With pauses that double up to six minutes: about half an hour; then the next look makes another. */
const backoffLimit = 6;
/** Its log can be read as long; what it did stands in its report. */
const keptSeconds = 86_400;
