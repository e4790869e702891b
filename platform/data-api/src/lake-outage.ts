import type { Lake } from '@domicile/lake/open-lake.ts';
import { Gauge, type Registry } from 'prom-client';

/** Told when metrics are read. */
export function observeLake(registry: Registry, lake: Pick<Lake, 'outageSeconds'>): void {
  const gauge = new Gauge({
    name: 'lake_outage_seconds',
    help: 'For how long a bucket of the lake has not answered; 0: it does.',
    collect() {
      this.set(lake.outageSeconds());
    },
    registers: [],
  });
  registry.registerMetric(gauge);
}
