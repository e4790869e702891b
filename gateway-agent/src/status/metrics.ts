import { Gauge, type Registry } from 'prom-client';
import type { StatusReport } from '../model/status-report.ts';
import { version } from '../version.ts';
import { type ReportParts, statusReport } from './report.ts';

interface Measured {
  readonly name: string;
  readonly help: string;
  /** Undefined if it cannot be told. */
  readonly valueOf: (report: StatusReport) => number | undefined;
}

const measured: readonly Measured[] = [
  {
    name: 'gateway_store_bytes',
    help: 'What the stores take on disk.',
    valueOf: ({ store }) => store.bytes,
  },
  {
    name: 'gateway_store_bytes_max',
    help: 'What the store may take on disk.',
    valueOf: ({ store }) => store.bytesMax,
  },
  {
    name: 'gateway_store_unsent_records',
    help: 'Records that the cell has not acked.',
    valueOf: ({ store }) => store.unsentRecords,
  },
  {
    name: 'gateway_store_oldest_unsent_seconds',
    help: 'How long the oldest record waits that the cell has not acked; 0 if none waits.',
    valueOf: ({ store, at }) =>
      Math.max(0, Date.parse(at) - Date.parse(store.oldestUnsentAt ?? at)) / 1000,
  },
  {
    name: 'gateway_disk_free_bytes',
    help: 'Free on the disk of the data directory.',
    valueOf: ({ store }) => store.diskFreeBytes,
  },
];

/** What is measured when somebody asks, beside what the events count. */
export function registerStatusMetrics(registry: Registry, parts: ReportParts): void {
  const registers = [registry];
  let pending: Promise<StatusReport> | undefined;
  // All of one scrape are of one report.
  const report = () =>
    (pending ??= statusReport(parts).finally(() => {
      pending = undefined;
    }));
  for (const { name, help, valueOf } of measured) {
    const gauge: Gauge = new Gauge({
      name,
      help,
      registers,
      async collect() {
        const value = valueOf(await report());
        if (value !== undefined) gauge.set(value);
      },
    });
  }
  const devices: Gauge<'state'> = new Gauge({
    name: 'gateway_devices',
    help: 'Devices by state: seen, silent (five of its usual periods and a minute), unheard since the start.',
    labelNames: ['state'],
    registers,
    async collect() {
      const { devices: known } = await report();
      for (const state of ['seen', 'silent', 'unheard'])
        devices.set({ state }, known.filter((one) => one.state === state).length);
    },
  });
  const info = new Gauge({
    name: 'gateway_info',
    help: '1; the version is its label.',
    labelNames: ['version'],
    registers,
  });
  info.set({ version }, 1);
}
