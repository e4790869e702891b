import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { PlatformError } from '@domicile/core/errors.ts';
import { startAdmin } from '@domicile/runtime/admin.ts';
import { createLog } from '@domicile/runtime/log.ts';
import { createRegistry } from '@domicile/runtime/metrics.ts';
import { startLoop } from '@domicile/runtime/service.ts';
import type { Logger } from 'pino';
import type { OperatorConfig } from './config.ts';
import { type OperatorEvents, operatorEvents } from './events.ts';
import type { QueueLimits } from './model/queue-state.ts';
import { Controller } from './runtime/controller.ts';
import { KubeEventRecorder } from './runtime/event-recorder.ts';
import { Informer, type InformerTimes, informerTimes } from './runtime/informer.ts';
import { Informers } from './runtime/informers.ts';
import type { KubeAccess } from './runtime/kube-access.ts';
import { KubeClient } from './runtime/kube-client.ts';
import { KubeHttp } from './runtime/kube-http.ts';
import { LeaderLease, type Term } from './runtime/leader-lease.ts';
import type { Leadership } from './runtime/leadership.ts';
import { fieldManager, openAccess, userAgent } from './runtime/open-kube.ts';
import { endsWithin, runOperator } from './runtime/operator-loop.ts';
import type { OperatorPorts } from './runtime/ports.ts';
import { RateLimiter } from './runtime/rate-limiter.ts';
import type { Reconciler } from './runtime/reconciler.ts';
import { createStatusWriter } from './runtime/status-writer.ts';
import { whoAmI } from './runtime/who-am-i.ts';

export interface OperatorService extends AsyncDisposable {
  readonly adminUrl: string;
}

export interface OperatorStartPorts {
  readonly reconcilers: (ports: OperatorPorts) => readonly Reconciler[];
  readonly log?: Logger;
  readonly now?: () => number;
  readonly informerTimes?: InformerTimes;
}

type Fail = (error: unknown) => void;

const askAgainMs = 1_000;
/** Above it a request is refused at once: then the operator wants more than it is allowed. */
const requestWaitMsMax = 60_000;
const closeMsMax = 5_000;
const leaseRequestMsMax = 5_000;

/** Starts one replica of the operator. It is ready when it has listed all that it watches, whether it leads or not. */
export async function startOperator(
  config: OperatorConfig,
  fail: Fail,
  startPorts: OperatorStartPorts,
): Promise<OperatorService> {
  const country = config.CELL_COUNTRY;
  const { log = createLog('operator') } = startPorts;
  const registry = createRegistry({ service: 'operator', country });
  const events = operatorEvents(log, registry);
  const access = await openAccess(config);

  await using parts = new AsyncDisposableStack();
  let waitsFor = notAnswered;
  const { OPERATOR_HOST: host, OPERATOR_ADMIN_PORT: port } = config;
  const ready = () => waitsFor();
  const admin = parts.use(await startAdmin({ host, port, log, registry, ready }));
  parts.use(
    startLoop(async (signal) => {
      await using wired = await wire({ config, startPorts, access, log, registry, events }, signal);
      if (wired === undefined) return;
      waitsFor = () => wired.informers.unsynced;
      await runOperator(wired, signal);
    }, fail),
  );
  events.listening(admin.url);
  const running = parts.move();
  return { adminUrl: admin.url, [Symbol.asyncDispose]: () => running.disposeAsync() };
}

const notAnswered = (): readonly string[] => ['the API server has not answered yet'];

interface Wiring {
  readonly config: OperatorConfig;
  readonly startPorts: OperatorStartPorts;
  readonly access: KubeAccess;
  readonly log: Logger;
  readonly registry: OperatorPorts['registry'];
  readonly events: OperatorEvents;
}

async function wire(wiring: Wiring, signal: AbortSignal) {
  const { config, startPorts, access, log, registry, events } = wiring;
  const { now = Date.now } = startPorts;
  await using opened = new AsyncDisposableStack();
  const observe = (method: string, code: string) => events.request(method, code);
  const http = opened.use(new KubeHttp({ access, userAgent, observe }));
  const user = await untilAnswered(() => whoAmI(http, signal), events, signal);
  if (user === undefined) return undefined;

  let term: Term | undefined;
  const leadership = leadershipOf(() => term);
  const kube = new KubeClient({ http, limiter: limiterOf(config), fieldManager, leadership });
  const informers = informersOf(http, events, startPorts.informerTimes);
  const instance = config.OPERATOR_IDENTITY ?? hostname();
  const recorder = new KubeEventRecorder({
    kube,
    controller: fieldManager,
    instance,
    lost: (error) => events.eventLost(error),
  });
  const ports: OperatorPorts = {
    country: config.CELL_COUNTRY,
    namespace: config.OPERATOR_NAMESPACE,
    buildingNamespaces: config.OPERATOR_BUILDING_NAMESPACES,
    user,
    kube,
    cache: informers,
    leadership,
    events: recorder,
    status: createStatusWriter(kube, now),
    log,
    registry,
    now,
  };
  const limits = limitsOf(config);
  const resyncMs = config.OPERATOR_RESYNC_MS;
  const reconcilers = startPorts.reconcilers(ports);
  for (const reconciler of reconcilers) opened.defer(() => close(reconciler, events));
  const controllers = reconcilers.map(
    (reconciler) => new Controller({ reconciler, informers, recorder, events, limits, resyncMs }),
  );
  const leaseName = config.OPERATOR_LEASE_NAME;
  const timeoutMs = Math.min(leaseRequestMsMax, config.OPERATOR_LEASE_MS / 3);
  const leaseHttp = opened.use(
    new KubeHttp({ access, userAgent, observe, timeoutMs, connectionsMax: 2 }),
  );
  const lease = new LeaderLease({
    kube: new KubeClient({ http: leaseHttp, limiter: limiterOf(config), fieldManager }),
    namespace: config.OPERATOR_NAMESPACE,
    name: leaseName,
    // A container that was started again in its pod is another process.
    identity: `${instance}_${randomUUID()}`,
    leaseMs: config.OPERATOR_LEASE_MS,
    renewMs: config.OPERATOR_LEASE_RENEW_MS,
    troubled: (error) => events.leaseTroubled(leaseName, error),
  });
  const kept = opened.move();
  return {
    informers,
    controllers,
    lease,
    leaseName,
    events,
    setTerm: (next: Term | undefined) => void (term = next),
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

function informersOf(http: KubeHttp, events: OperatorEvents, times?: InformerTimes): Informers {
  return new Informers((collection, changed) => {
    const kind = collection.kind.plural;
    return new Informer({
      http,
      collection,
      changed,
      times: times ?? informerTimes,
      failed: (error) => events.watchInterrupted(kind, error),
      listed: () => events.listed(kind),
    });
  });
}

function limiterOf(config: OperatorConfig): RateLimiter {
  const { OPERATOR_REQUESTS_PER_SECOND: perSecond, OPERATOR_REQUESTS_BURST: burst } = config;
  return new RateLimiter({ perSecond, burst, waitMsMax: requestWaitMsMax });
}

function limitsOf(config: OperatorConfig): QueueLimits {
  return {
    concurrency: config.OPERATOR_CONCURRENCY,
    perSecond: config.OPERATOR_RECONCILES_PER_SECOND,
    burst: config.OPERATOR_RECONCILES_PER_SECOND,
    backoffMsMin: 500,
    backoffMsMax: 300_000,
    changedPauseMs: 1_000,
  };
}

/** What a reconciler holds elsewhere may be out of reach just then; nothing of it is waited for without end. */
async function close(reconciler: Reconciler, events: OperatorEvents): Promise<void> {
  const closed = Promise.resolve(reconciler[Symbol.asyncDispose]?.());
  if (!(await endsWithin(closed, closeMsMax))) events.notClosed(reconciler.name);
}

/** Of whichever term holds; without one nobody leads. */
function leadershipOf(term: () => Term | undefined): Leadership {
  return {
    stillLeads: () => term()?.stillLeads() ?? false,
    assert(doing) {
      const held = term();
      if (held === undefined)
        throw new PlatformError('FENCED', `Cannot ${doing}: this process does not lead`);
      held.assert(doing);
    },
  };
}

/** Undefined if the signal aborted first. */
async function untilAnswered<Answer>(
  ask: () => Promise<Answer>,
  events: OperatorEvents,
  signal: AbortSignal,
): Promise<Answer | undefined> {
  while (!signal.aborted) {
    try {
      return await ask();
    } catch (error) {
      if (signal.aborted) break;
      events.unreachable(error);
      await sleep(askAgainMs, undefined, { signal }).catch(() => undefined);
    }
  }
  return undefined;
}
