import { parseCountryPack } from '@domicile/core/country-pack.ts';
import { parseCellSpec } from '@domicile/core/resources/cell.ts';
import type { CellPlan } from './plan.ts';

/** As a user would write it for Germany; `changes` go over it. */
export function specOfDe(changes: Readonly<Record<string, unknown>> = {}) {
  return {
    country: 'DE',
    regions: ['europe-west3', 'europe-west10'],
    kafka: { bootstrap: 'kafka-1.example:9092,kafka-2.example:9092', partitions: 8 },
    lake: {
      store: 'gcs',
      region: 'europe-west3',
      landingBucket: 'acme-de-landing',
      servingBucket: 'acme-de-serving',
    },
    api: {
      issuer: 'https://id.example',
      jwks: 'https://id.example/jwks',
      host: 'api.de.example',
    },
    ...changes,
  };
}

export const packOfDe = parseCountryPack({
  country: 'DE',
  name: 'Germany',
  regions: ['europe-west3', 'europe-west10'],
  localisation: { mode: 'contract', law: 'none', source: 'none', asOf: '2025-12-31' },
  summariesAbroad: true,
  recovery: 'second-region',
  retentionDays: { landing: 400, serving: 3650 },
  timeZones: ['Europe/Berlin'],
  units: { temperature: 'Cel' },
  comfort: { standard: 'EN 16798-1', limits: {} },
  holidays: { calendar: 'DE' },
});

export function planOfDe(
  changes: Readonly<Record<string, unknown>> = {},
  more: Partial<CellPlan> = {},
): CellPlan {
  return {
    name: 'de',
    uid: '7d0f7f0e-0000-4000-8000-000000000001',
    spec: parseCellSpec(specOfDe(changes)),
    pack: packOfDe,
    imageTag: '1.2.3',
    operatorUser: 'system:serviceaccount:domicile-system:domicile-operator',
    digests: new Map(),
    hasStorage: true,
    hasKafkaCa: false,
    replicasNow: new Map(),
    ...more,
  };
}
