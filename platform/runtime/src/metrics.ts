import { collectDefaultMetrics, Histogram, Registry } from 'prom-client';

/** The metrics of one process; every sample says which service and which country it is of. */
export function createRegistry(labels: Readonly<Record<string, string>>): Registry {
  const registry = new Registry();
  registry.setDefaultLabels(labels);
  collectDefaultMetrics({ register: registry });
  return registry;
}

export interface HttpObservation {
  readonly method: string;
  /** The route's pattern, never the path: its labels are bounded. */
  readonly route: string;
  readonly status: number;
  readonly seconds: number;
}

/** Counts and times answers; streams count when they end. */
export function httpMetrics(registry: Registry): (observation: HttpObservation) => void {
  const histogram = new Histogram({
    name: 'http_request_duration_seconds',
    help: 'Time from the head of a request to the end of its answer',
    labelNames: ['method', 'route', 'status'],
    buckets: [0.005, 0.02, 0.1, 0.5, 2, 10],
    registers: [registry],
  });
  return ({ method, route, status, seconds }) =>
    histogram.observe({ method, route, status: `${status}` }, seconds);
}
