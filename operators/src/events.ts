import type { Logger } from 'pino';
import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import type { Outcome } from './runtime/reconciler.ts';

export type OperatorEvents = ReturnType<typeof operatorEvents>;

/** As controller-runtime names what came of a reconcile. */
type ResultLabel = 'success' | 'error' | 'requeue' | 'requeue_after';

const seconds = [0.005, 0.02, 0.1, 0.5, 2, 10, 60, 300];

/** What happens in the operator: one function an event. Metrics have the names of controller-runtime and client-go. */
export function operatorEvents(log: Logger, registry: Registry) {
  const metrics = operatorMetrics(registry);
  return {
    listening(adminUrl: string) {
      log.info({ adminUrl }, 'Operator listens');
    },
    request(method: string, code: string) {
      metrics.requests.inc({ method, code });
    },
    unreachable(error: unknown) {
      log.warn({ err: error }, 'The API server gives no answer; it is asked again');
    },
    watchInterrupted(kind: string, error: unknown) {
      metrics.watches.inc({ kind });
      log.debug({ kind, err: error }, 'Watch interrupted; it goes on by itself');
    },
    listed(kind: string) {
      metrics.lists.inc({ kind });
    },
    waiting(name: string) {
      metrics.leads.set({ name }, 0);
      log.info({ lease: name }, 'Watches are synced; waiting to lead');
    },
    leading(name: string, term: number) {
      metrics.leads.set({ name }, 1);
      log.info({ lease: name, term }, 'This replica leads');
    },
    leadEnded(name: string, wasLost: boolean) {
      metrics.leads.set({ name }, 0);
      if (wasLost) log.warn({ lease: name }, 'The lease is lost; this replica has no effects');
      else log.info({ lease: name }, 'The lease is given back');
    },
    leaseTroubled(name: string, error: unknown) {
      log.warn({ lease: name, err: error }, 'The lease could not be read or written');
    },
    notClosed(controller: string) {
      log.warn({ controller }, 'Connections were not closed in time; they end with the process');
    },
    eventLost(error: unknown) {
      log.warn({ err: error }, 'An event was not recorded');
    },
    ...queueEvents(metrics),
    reconciled(controller: string, key: string, outcome: Outcome) {
      metrics.reconcileTotal.inc({ controller, result: results[outcome.kind] });
      if (outcome.kind === 'failed') {
        metrics.reconcileErrors.inc({ controller });
        log.warn({ controller, resource: key, err: outcome.error }, 'Reconcile failed');
      }
      if (outcome.kind === 'refused') {
        metrics.terminalErrors.inc({ controller });
        log.info({ controller, resource: key, reason: outcome.reason }, 'Resource refused');
      }
    },
    /** Somebody else changed it meanwhile, or this process leads no more. */
    overtaken(controller: string) {
      metrics.reconcileTotal.inc({ controller, result: 'requeue' satisfies ResultLabel });
    },
    ownersUnknown(controller: string, kind: string, error: unknown) {
      log.error({ controller, kind, err: error }, 'Cannot tell whose turn it is: a bug');
    },
  };
}

function queueEvents(metrics: ReturnType<typeof operatorMetrics>) {
  return {
    added(controller: string, due: number) {
      metrics.adds.inc({ name: controller });
      metrics.depth.set({ name: controller }, due);
    },
    taken(controller: string, waitedMs: number, due: number) {
      metrics.queued.observe({ name: controller }, waitedMs / 1_000);
      metrics.depth.set({ name: controller }, due);
      metrics.active.inc({ controller });
    },
    finished(controller: string, workedMs: number) {
      metrics.worked.observe({ name: controller }, workedMs / 1_000);
      metrics.reconcileTime.observe({ controller }, workedMs / 1_000);
      metrics.active.dec({ controller });
    },
    retried(controller: string) {
      metrics.retries.inc({ name: controller });
    },
  };
}

function operatorMetrics(registry: Registry) {
  const registers = [registry];
  const counter = (name: string, help: string, labelNames: string[]) =>
    new Counter({ name, help, labelNames, registers });
  const histogram = (name: string, help: string, labelNames: string[]) =>
    new Histogram({ name, help, labelNames, buckets: seconds, registers });
  const gauge = (name: string, help: string, labelNames: string[]) =>
    new Gauge({ name, help, labelNames, registers });

  return {
    requests: counter(
      'rest_client_requests_total',
      'Requests to the API server by method and status, `<error>` where there was no answer',
      ['code', 'method'],
    ),
    watches: counter(
      'domicile_watch_interruptions_total',
      'Lists and watches that ended before their time',
      ['kind'],
    ),
    lists: counter('domicile_watch_lists_total', 'Whole lists of watched kinds', ['kind']),
    leads: gauge('leader_election_master_status', '1 on the replica that leads', ['name']),
    reconcileTotal: counter(
      'controller_runtime_reconcile_total',
      'Looks at one resource by what came of them',
      ['controller', 'result'],
    ),
    reconcileErrors: counter(
      'controller_runtime_reconcile_errors_total',
      'Looks that failed and are tried again',
      ['controller'],
    ),
    terminalErrors: counter(
      'controller_runtime_terminal_reconcile_errors_total',
      'Looks at what is refused until somebody changes it',
      ['controller'],
    ),
    reconcileTime: histogram('controller_runtime_reconcile_time_seconds', 'Time of a look', [
      'controller',
    ]),
    active: gauge('controller_runtime_active_workers', 'Resources being worked on', ['controller']),
    depth: gauge('workqueue_depth', 'Resources that are due', ['name']),
    adds: counter('workqueue_adds_total', 'Resources that became due', ['name']),
    retries: counter('workqueue_retries_total', 'Resources that are tried again', ['name']),
    queued: histogram('workqueue_queue_duration_seconds', 'Time from due to begun', ['name']),
    worked: histogram('workqueue_work_duration_seconds', 'Time from begun to done', ['name']),
  };
}

const results: Readonly<Record<Outcome['kind'], ResultLabel>> = {
  done: 'success',
  refused: 'success',
  again: 'requeue_after',
  failed: 'error',
};
