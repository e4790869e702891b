import { PlatformError } from '@domicile/core/errors.ts';
import { parseCellSpec } from '@domicile/core/resources/cell.ts';
import { expect, test } from 'vitest';
import { type HelmVersion, objectsOf, renderChart } from './support/render-chart.ts';

// What `helm template` renders of a cell is what the operator takes, and what lies abroad renders nothing.

const lake = {
  store: 'gcs',
  region: 'europe-west3',
  landingBucket: 'acme-de-landing',
  servingBucket: 'acme-de-serving',
};
const right = {
  country: 'DE',
  regions: ['europe-west3', 'europe-west10'],
  kafka: { bootstrap: 'kafka-0.kafka:9093,kafka-1.kafka:9093' },
  lake,
  api: { issuer: 'https://id.example/', jwks: 'https://id.example/jwks' },
};
const inKenya = {
  ...right,
  country: 'KE',
  regions: ['onprem-ke-nairobi'],
  lake: { ...lake, store: 's3', endpoint: 'https://s3.example', region: 'onprem-ke-nairobi' },
};

const accepted: Record<string, object> = {
  'the least': right,
  'all of it': {
    ...right,
    image: { repository: 'registry.example/domicile', tag: 'dev', pullPolicy: 'Never' },
    kafka: { ...right.kafka, partitions: 8, replicas: 1 },
    lake: { ...lake, retentionDays: { landing: 30, serving: 3650 }, softDeleteDays: 0 },
    broker: { replicas: 3, host: 'mqtt.de.example', serviceType: 'ClusterIP' },
    enrolment: { url: 'https://est.de.example:8444', serviceType: 'LoadBalancer' },
    api: { ...right.api, replicas: 1, replicasMax: 6, webOrigins: ['https://app.example'] },
    web: { enabled: false },
    cells: { US: 'https://api.us.example' },
  },
  'machines of its own': inKenya,
};

test.concurrent.each(
  Object.entries(accepted).flatMap(([what, values]) =>
    ([3, 4] as const).map((version) => [what, version, values] as const),
  ),
)('%s is rendered by Helm %i as the operator reads it', async (_what, version, values) => {
  const { status, stdout, stderr } = await renderChart('domicile-cell', values, { version });
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  const [cell, ...more] = objectsOf(stdout);
  expect(more).toEqual([]);
  const parsed = parseCellSpec(values);
  expect(parseCellSpec(cell?.['spec'])).toEqual(parsed);
  expect(cell).toMatchObject({
    apiVersion: 'domicile.dev/v1alpha1',
    kind: 'Cell',
    metadata: {
      name: parsed.country.toLowerCase(),
      labels: { 'domicile.dev/country': parsed.country.toLowerCase() },
    },
  });
});

/** What is refused, and what Helm says of it. */
const refused: Record<string, readonly [values: object, said: RegExp]> = {
  'no country': [{ ...right, country: undefined }, /missing property 'country'/],
  'a country in small letters': [{ ...right, country: 'de' }, /'de' does not match pattern/],
  'a country that is none': [
    { ...right, country: 'XX', regions: ['onprem-xx-nowhere'] },
    /country: XX has no country pack; those that have: AE, AU/,
  ],
  'a region of another country': [
    { ...right, regions: ['europe-west3', 'europe-west9'] },
    /regions: europe-west9 lies in FR, and this cluster is one of DE/,
  ],
  'a site of another country': [
    { ...right, regions: ['europe-west3', 'onprem-ke-nairobi'] },
    /regions: onprem-ke-nairobi lies in KE/,
  ],
  'a multi-region': [
    { ...right, regions: ['EU'], lake: { ...lake, region: 'EU' } },
    /regions: EU is no region of DE; its pack lists europe-west3, europe-west10/,
  ],
  'a dual-region': [{ ...right, regions: ['europe-west3', 'eur4'] }, /eur4 is no region of DE/],
  'a region that nobody knows': [
    { ...right, regions: ['europe-west3', 'europe-west99'] },
    /europe-west99 is no region of DE/,
  ],
  'buckets outside of the cell': [
    { ...right, regions: ['europe-west10'] },
    /lake\.region: europe-west3 is none of the cell's regions: europe-west10/,
  ],
  'no Kafka': [{ ...right, kafka: {} }, /missing property 'bootstrap'/],
  'partitions that are no power of two': [
    { ...right, kafka: { ...right.kafka, partitions: 12 } },
    /partitions': value must be one of 1, 2, 4/,
  ],
  'an unknown store': [{ ...right, lake: { ...lake, store: 'fs' } }, /must be one of 'gcs', 's3'/],
  'an unknown field': [{ ...right, region: 'europe-west3' }, /additional properties 'region'/],
  'an unknown field of the broker': [
    { ...right, broker: { replica: 3 } },
    /additional properties 'replica' not allowed/,
  ],
};

test.concurrent.each(Object.entries(refused))(
  '%s is refused by both',
  async (_what, [values, said]) => {
    const { status, stdout, stderr } = await renderChart('domicile-cell', values);
    expect(stderr).toMatch(said);
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
    expect(() => parseCellSpec(values)).toThrow(PlatformError);
  },
);

/** What the API server refuses by the rules of the definition, and the chart before it. */
const refusedEarly: Record<string, readonly [values: object, said: RegExp]> = {
  'one bucket for both': [
    { ...right, lake: { ...lake, servingBucket: 'acme-de-landing' } },
    /raw readings and summaries need buckets of their own/,
  ],
  'one identity for two': [
    { ...right, lake: { ...lake, identities: { rawReader: 'lake-serving-reader' } } },
    /each needs a Secret of its own/,
  ],
  'fewer at most than at least': [
    { ...right, api: { ...right.api, replicas: 4, replicasMax: 2 } },
    /api\.replicasMax: must be at least api\.replicas/,
  ],
  'days in which Cloud Storage brings nothing back': [
    { ...right, lake: { ...lake, softDeleteDays: 3 } },
    /lake\.softDeleteDays: Cloud Storage brings back what was deleted for 7 to 90 days/,
  ],
  'renewals without TLS': [
    { ...right, enrolment: { url: 'http://est.de.example' } },
    /enrolment\.url: gateways show their certificate there, so it begins with https/,
  ],
  'the namespace of the operator': [
    { ...right, namespace: 'domicile-system' },
    /namespace: domicile-system is taken/,
  ],
  'a site that the pack does not list': [
    { ...inKenya, regions: ['onprem-ke-nairobi', 'onprem-ke-mombasa'] },
    /onprem-ke-mombasa is no region of KE; its pack lists onprem-ke-nairobi/,
  ],
};

test.concurrent.each(Object.entries(refusedEarly))(
  '%s is refused before the API server is asked',
  async (_what, [values, said]) => {
    const { status, stdout, stderr } = await renderChart('domicile-cell', values);
    expect(stderr).toMatch(said);
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
  },
);

test('every fault is told at once', async () => {
  const values = { ...right, regions: ['europe-west9', 'us-east1'], namespace: 'kube-system' };
  const { stderr } = await renderChart('domicile-cell', values);
  expect(stderr).toMatch(/lies in FR[^]*lies in US[^]*lake\.region[^]*kube-system is taken/);
});

test.concurrent.each<HelmVersion>([3, 4])(
  'without values, Helm %i says what must be said',
  async (version) => {
    const { status, stderr } = await renderChart('domicile-cell', {}, { version });
    expect(status).toBe(1);
    for (const field of ['country', 'regions']) expect(stderr).toContain(field);
  },
);
