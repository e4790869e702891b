import { z } from 'zod';
import { type CountryCode, countryOfRegion, isCountryCode } from '../countries.ts';
import { type Fault, PlatformError } from '../errors.ts';

/** Group and version of the resources `Cell` and `Building`. */
export const resourceGroup = 'domicile.dev';
export const resourceVersion = 'v1alpha1';

const secretName = z.string().regex(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/);
const replicas = z.number().int().min(1).max(100);
const bucket = z.string().regex(/^[a-z0-9][a-z0-9._-]{1,61}[a-z0-9]$/);
const host = z.string().min(1).max(253);
const days = z.number().int().min(1).max(36_500);
/** Whatever comes late repairs the summaries of its day, so they outlive what may still come. */
const servingDaysMin = 410;

const kafka = z.strictObject({
  /** `host:port`, separated by commas. */
  bootstrap: z.string().min(1).max(2000),
  /** Of every stream, fixed for its version: a power of two. */
  partitions: z.union([1, 2, 4, 8, 16, 32, 64, 128, 256].map((n) => z.literal(n))).default(64),
  replicas: z.number().int().min(1).max(5).default(3),
  /** Secret in the operator's namespace: `username`, `password`, and `ca.crt` if Kafka speaks TLS. Used by the operator alone. */
  adminSecret: secretName.default('kafka-admin'),
});

/** Secrets in the operator's namespace, each with `credentials.json` (gcs) or `accessKeyId` and `secretAccessKey` (s3). */
const identities = z.strictObject({
  admin: secretName.default('lake-admin'),
  writer: secretName.default('lake-writer'),
  servingReader: secretName.default('lake-serving-reader'),
  rawReader: secretName.default('lake-raw-reader'),
  eraser: secretName.default('lake-eraser'),
});

const lake = z
  .strictObject({
    store: z.enum(['gcs', 's3']),
    /** Of the store; absent: the provider's own. */
    endpoint: z.url().optional(),
    /** One of the cell's regions. */
    region: z.string().min(1).max(60),
    landingBucket: bucket,
    servingBucket: bucket,
    identities: identities.prefault({}),
    /** Absent: the country pack's. */
    retentionDays: z
      .strictObject({ landing: days.optional(), serving: days.min(servingDaysMin).optional() })
      .default({}),
    /** How long what is deleted can be brought back, inside the country. */
    softDeleteDays: z.number().int().min(0).max(90).default(7),
  })
  .refine(
    ({ store, softDeleteDays }) => store !== 'gcs' || softDeleteDays === 0 || softDeleteDays >= 7,
    { path: ['softDeleteDays'], error: 'gcs keeps what is deleted for 0, or for 7 to 90 days' },
  );

/** `spec` of the resource `Cell`: one country's cell on this cluster. */
export const cellSpecSchema = z.strictObject({
  country: z.string().refine(isCountryCode, 'expected an ISO 3166-1 alpha-2 code'),
  /** Where nodes, brokers of Kafka and buckets may stand. */
  regions: z.array(z.string().min(1).max(60)).min(1).max(16),
  /** Where the processes of the cell run. */
  namespace: z
    .string()
    .regex(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/)
    .default('domicile'),
  image: z
    .strictObject({
      repository: z.string().min(1).max(253).default('domicile'),
      tag: z.string().min(1).max(128).optional(),
      pullPolicy: z.enum(['Always', 'IfNotPresent', 'Never']).default('IfNotPresent'),
    })
    .prefault({}),
  kafka,
  lake,
  broker: z
    .strictObject({
      replicas: replicas.default(2),
      /** The name that gateways call it by; in its certificate. */
      host: host.optional(),
      serviceType: z.enum(['ClusterIP', 'LoadBalancer', 'NodePort']).default('LoadBalancer'),
    })
    .prefault({}),
  /** The issuer of gateways' certificates: they renew there by the certificate that they have, so nothing before it may end TLS. */
  enrolment: z
    .strictObject({
      /** As gateways outside of the cluster reach it; its host is in the issuer's certificate. */
      url: z.url({ protocol: /^https$/ }).optional(),
      serviceType: z.enum(['ClusterIP', 'LoadBalancer', 'NodePort']).default('ClusterIP'),
    })
    .prefault({}),
  stream: z
    .strictObject({
      engine: z.enum(['embedded', 'spark']).default('embedded'),
      replicas: replicas.default(2),
    })
    .prefault({}),
  api: z.strictObject({
    /** Who must have issued a token, and where its public keys are. */
    issuer: z.url(),
    jwks: z.string().min(1).max(2000),
    host: host.optional(),
    replicas: replicas.default(2),
    replicasMax: replicas.optional(),
    serviceType: z.enum(['ClusterIP', 'LoadBalancer', 'NodePort']).default('ClusterIP'),
    webOrigins: z.array(z.url()).max(32).default([]),
  }),
  web: z
    .strictObject({ enabled: z.boolean().default(true), replicas: replicas.default(1) })
    .prefault({}),
  /** Addresses of the cells of other countries, for clients that ask the wrong one. */
  cells: z.record(z.string().regex(/^[A-Z]{2}$/), z.url()).default({}),
});

/** With defaults, and every region checked to lie in the country. */
export type CellSpec = z.output<typeof cellSpecSchema> & { readonly country: CountryCode };

/** Throws `VALUE_INVALID` with every fault at once, `RESIDENCY_VIOLATION` if only a place lies abroad. */
export function parseCellSpec(spec: unknown): CellSpec {
  const parsed = cellSpecSchema.safeParse(spec);
  if (!parsed.success) {
    const faults = parsed.error.issues.map(({ path, message }) => ({
      pointer: ['', 'spec', ...path].map(String).join('/'),
      detail: message,
    }));
    throw refusal('VALUE_INVALID', 'read the cell', faults);
  }
  const cell = parsed.data;
  const abroad = cell.regions.flatMap((region, index) =>
    countryOfRegion(region) === cell.country
      ? []
      : [
          {
            pointer: `/spec/regions/${index}`,
            detail: `${region} is no region of ${cell.country}`,
          },
        ],
  );
  if (!cell.regions.includes(cell.lake.region))
    abroad.push({
      pointer: '/spec/lake/region',
      detail: `${cell.lake.region} is none of the cell's regions`,
    });
  if (abroad.length > 0) throw refusal('RESIDENCY_VIOLATION', 'place the cell', abroad);
  return cell;
}

function refusal(
  code: 'VALUE_INVALID' | 'RESIDENCY_VIOLATION',
  doing: string,
  faults: readonly Fault[],
): PlatformError {
  const told = faults.slice(0, 20).map(({ pointer, detail }) => `${pointer}: ${detail}`);
  return new PlatformError(code, `Cannot ${doing}: ${told.join('; ')}`, { faults });
}
