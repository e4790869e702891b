import { parseCountryCode } from '@domicile/core/identities.ts';
import {
  type Environment,
  parsedBy,
  portSetting,
  readEnvironment,
} from '@domicile/runtime/environment.ts';
import { z } from 'zod';

const name = z.string().regex(/^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/);
const durationMs = z.coerce.number().int().min(100).max(86_400_000);
const count = z.coerce.number().int().min(1);

/** Names between commas; none is undefined. */
const names = z
  .string()
  .transform((text) => text.split(',').map((one) => one.trim()))
  .pipe(z.array(name).min(1).max(100));

export const operatorSettings = z.object({
  CELL_COUNTRY: parsedBy(parseCountryCode).describe(
    'The country of this cluster; a Cell or Building of another one is refused',
  ),
  OPERATOR_NAMESPACE: name
    .default('domicile-system')
    .describe('Where the operator runs, its lease is and the credentials of administrators are'),
  OPERATOR_CELL_NAMESPACE: name
    .default('domicile')
    .describe('Where the processes of the cell run; a Cell with another namespace is refused'),
  OPERATOR_BUILDING_NAMESPACES: names
    .optional()
    .describe('Where Building resources are read, separated by commas; unset: everywhere'),
  OPERATOR_IDENTITY: z
    .string()
    .min(1)
    .max(253)
    .optional()
    .describe('The name by which this replica holds the lease: its pod; unset: the host’s'),
  OPERATOR_HOST: z.string().default('127.0.0.1').describe('The address to listen on'),
  OPERATOR_ADMIN_PORT: portSetting
    .default(0)
    .describe('The port of health and metrics; 0 takes a free one'),
  OPERATOR_LEASE_NAME: name
    .default('domicile-operator')
    .describe('The Lease by which replicas agree who leads'),
  OPERATOR_LEASE_MS: durationMs
    .min(3_000)
    .max(120_000)
    .default(15_000)
    .describe('How long a leader that is heard of no more is still believed to lead'),
  OPERATOR_LEASE_RENEW_MS: durationMs
    .max(30_000)
    .default(2_000)
    .describe('How often the leader renews the lease and the others look at it'),
  OPERATOR_RESYNC_MS: durationMs
    .default(600_000)
    .describe('How often everything is looked at again, changed or not'),
  OPERATOR_CELL_RESYNC_MS: durationMs
    .default(60_000)
    .describe('How often brokers, buckets and nodes are looked at again'),
  OPERATOR_DEVICES_SEEN_EVERY_MS: durationMs
    .default(30_000)
    .describe('How often the serving API is asked how many devices of each building spoke lately'),
  OPERATOR_IMAGE_TAG: z
    .string()
    .min(1)
    .max(128)
    .default('latest')
    .describe('The tag of the workloads of a Cell that names none: the operator’s own'),
  OPERATOR_CONCURRENCY: count
    .max(64)
    .default(16)
    .describe('How many resources of one kind are worked on at once'),
  OPERATOR_RECONCILES_PER_SECOND: count
    .max(10_000)
    .default(100)
    .describe('How many resources of one kind are begun in a second at most'),
  OPERATOR_REQUESTS_PER_SECOND: count
    .max(10_000)
    .default(100)
    .describe('Requests to the API server in a second at most, watches and lease aside'),
  OPERATOR_REQUESTS_BURST: count
    .max(20_000)
    .default(200)
    .describe('Requests at once after a quiet time'),
  OPERATOR_ERASURE_SETTLE_MS: z.coerce
    .number()
    .int()
    .min(0)
    .max(86_400_000)
    .default(600_000)
    .describe(
      'How long what was on its way when a building was refused has time to land before it is erased: longer than the lander waits',
    ),
  OPERATOR_ERASURE_KAFKA_RETENTION_MS: z.coerce
    .number()
    .int()
    .min(0)
    .max(100_000_000_000)
    .default(37 * 86_400_000)
    .describe(
      'The longest retention of the streams and a segment of the log (7 days) beyond; until then an erasure is not complete',
    ),
  OPERATOR_ERASURE_GRACE_MS: z.coerce
    .number()
    .int()
    .min(0)
    .max(3_600_000)
    .default(60_000)
    .describe('How long readers may hold a snapshot of the serving layer that is not the newest'),
  OPERATOR_REGIONS_DIR: z
    .string()
    .default('regions')
    .describe('The folder of the country packs, from the working directory'),
  OPERATOR_KUBECONFIG: z
    .string()
    .optional()
    .describe('A kubeconfig file, outside of a cluster; unset: the service account of the pod'),
  SERVICE_ACCOUNT_DIR: z
    .string()
    .default('/var/run/secrets/kubernetes.io/serviceaccount')
    .describe('The folder with `token`, `ca.crt` and `namespace`'),
  KUBERNETES_SERVICE_HOST: z
    .string()
    .optional()
    .describe('The API server, in a pod; set by the kubelet'),
  KUBERNETES_SERVICE_PORT: portSetting.default(443).describe('Its port; set by the kubelet'),
});

export type OperatorConfig = Readonly<z.output<typeof operatorSettings>>;

export function readConfig(env: Environment = process.env): OperatorConfig {
  return readEnvironment(operatorSettings, env);
}
