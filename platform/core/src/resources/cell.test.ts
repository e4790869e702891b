import { expect, test } from 'vitest';
import { PlatformError } from '../errors.ts';
import { parseCellSpec } from './cell.ts';

const spec = {
  country: 'DE',
  regions: ['europe-west3', 'europe-west10'],
  kafka: { bootstrap: 'kafka:9092' },
  lake: {
    store: 'gcs',
    region: 'europe-west3',
    landingBucket: 'landing',
    servingBucket: 'serving',
  },
  api: { issuer: 'https://id.example', jwks: 'https://id.example/jwks' },
};

function codeOf(changed: object): string {
  try {
    parseCellSpec({ ...spec, ...changed });
    return 'taken';
  } catch (error) {
    return error instanceof PlatformError ? `${error.code} ${error.faults[0]?.pointer}` : 'threw';
  }
}

test('the least that a cell says is enough', () => {
  expect(parseCellSpec(spec)).toMatchObject({
    namespace: 'domicile',
    kafka: { partitions: 64, replicas: 3, adminSecret: 'kafka-admin' },
    lake: { identities: { eraser: 'lake-eraser' }, softDeleteDays: 7 },
    stream: { engine: 'embedded' },
  });
});

test.each([
  [
    'another country’s region',
    { regions: ['europe-west3', 'us-east1'] },
    'RESIDENCY_VIOLATION /spec/regions/1',
  ],
  ['what spans countries', { regions: ['EU'] }, 'RESIDENCY_VIOLATION /spec/regions/0'],
  [
    'another country’s machines',
    { regions: ['europe-west3', 'onprem-fr-paris'] },
    'RESIDENCY_VIOLATION /spec/regions/1',
  ],
  [
    'a bucket elsewhere',
    { lake: { ...spec.lake, region: 'europe-west9' } },
    'RESIDENCY_VIOLATION /spec/lake/region',
  ],
  ['an unknown country', { country: 'XX' }, 'VALUE_INVALID /spec/country'],
  ['no region', { regions: [] }, 'VALUE_INVALID /spec/regions'],
  [
    'a count of partitions that is no power of two',
    { kafka: { bootstrap: 'k:1', partitions: 12 } },
    'VALUE_INVALID /spec/kafka/partitions',
  ],
  ['a word that is not known', { replica: 3 }, 'VALUE_INVALID /spec'],
])('refused: %s', (_, changed, code) => {
  expect(codeOf(changed)).toBe(code);
});

test('machines of one’s own are a region by their name', () => {
  const lake = { ...spec.lake, store: 's3', region: 'onprem-eg-cairo' };
  const cell = {
    ...spec,
    country: 'EG',
    regions: ['onprem-eg-cairo', 'onprem-eg-alexandria'],
    lake,
  };
  expect(parseCellSpec(cell).country).toBe('EG');
});
