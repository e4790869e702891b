import type { Logger } from 'pino';
import { Counter, Gauge, type Registry } from 'prom-client';
import type { Upstream } from './model/routes.ts';
import type { Refusal } from './tokens.ts';

export type Events = ReturnType<typeof gatewayEvents>;

/** The business events of the front door. What strangers sent is counted, not logged. */
export function gatewayEvents(log: Logger, registry: Registry) {
  const registers = [registry];
  const credentials = new Counter({
    name: 'gateway_credentials_refused_total',
    help: 'Requests whose credentials were refused, by why',
    labelNames: ['reason'],
    registers,
  });
  const scopes = new Counter({
    name: 'gateway_scope_missing_total',
    help: 'Requests whose token lacked the scope of the route',
    labelNames: ['scope'],
    registers,
  });
  const foreign = new Counter({
    name: 'gateway_foreign_buildings_total',
    help: 'Requests for a building of another country, all refused',
    registers,
  });
  const limited = new Counter({
    name: 'gateway_limited_total',
    help: 'Requests beyond a limit, by which',
    labelNames: ['limit'],
    registers,
  });
  const unavailable = new Counter({
    name: 'gateway_upstream_failures_total',
    help: 'Requests that a service behind did not answer',
    labelNames: ['upstream'],
    registers,
  });
  const streams = new Gauge({
    name: 'gateway_streams',
    help: 'Live streams held open',
    registers,
  });
  return {
    credentialRefused(reason: Refusal | 'absent' | 'api-key' | 'ambiguous') {
      credentials.inc({ reason });
    },
    scopeMissing(scope: string, subject: string) {
      scopes.inc({ scope });
      log.info({ scope, subject }, 'Request refused for want of a scope');
    },
    foreignBuilding() {
      foreign.inc();
      log.warn('Request for a building of another country refused');
    },
    limited(limit: 'requests' | 'failures' | 'streams') {
      limited.inc({ limit });
    },
    upstreamFailed(upstream: Upstream, error: unknown) {
      unavailable.inc({ upstream });
      log.warn({ upstream, err: error }, 'Service behind did not answer');
    },
    streamOpened() {
      streams.inc();
    },
    streamClosed() {
      streams.dec();
    },
  };
}
