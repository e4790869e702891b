import { Gauge, type Registry } from 'prom-client';
import { version } from '../version.ts';
import { type ReportParts, statusReport } from './report.ts';

/** What is measured when somebody asks, beside what the events count. */
export function registerStatusMetrics(registry: Registry, parts: ReportParts): void {
  const registers = [registry];
  const devices = new Gauge({
    name: 'gateway_devices',
    help: 'Devices by state: seen, silent (five of its usual periods and a minute), unheard since the start.',
    labelNames: ['state'],
    registers,
  });
  const oldest = new Gauge({
    name: 'gateway_store_oldest_unsent_seconds',
    help: 'How long the oldest reading waits that the cell has not acked; 0 if none waits.',
    registers,
  });
  const bytesMax = new Gauge({
    name: 'gateway_store_bytes_max',
    help: 'What the store may take on disk.',
    registers,
  });
  const free = new Gauge({
    name: 'gateway_disk_free_bytes',
    help: 'Free on the disk of the data directory.',
    registers,
    async collect() {
      const { store, devices: known, at } = await statusReport(parts);
      if (store.diskFreeBytes !== undefined) free.set(store.diskFreeBytes);
      bytesMax.set(store.bytesMax);
      const since = store.oldestUnsentAt ?? at;
      oldest.set(Math.max(0, (Date.parse(at) - Date.parse(since)) / 1000));
      for (const state of ['seen', 'silent', 'unheard'])
        devices.set({ state }, known.filter((one) => one.state === state).length);
    },
  });
  new Gauge({
    name: 'gateway_info',
    help: '1; the version is its label.',
    labelNames: ['version'],
    registers,
  }).set({ version }, 1);
}
