import { join } from 'node:path';
import type { CountryPack } from '@domicile/core/country-pack.ts';
import { lowerCountry } from '@domicile/core/identities.ts';
import type { KafkaCluster } from '@domicile/devkit/kafka-cluster.ts';
import type { Manifest } from '@domicile/devkit/kube/kube-client.ts';
import type { KubeTestbed } from '@domicile/devkit/kube/kube-testbed.ts';
import type { KubeTools } from '@domicile/devkit/kube/kube-tools.ts';
import type { NodeSpec } from '@domicile/devkit/kube/node-agent.ts';
import { stringify } from 'yaml';
import { z } from 'zod';
import type { DemoUsers, Role } from './demo-users.ts';
import type { Buckets } from './kube-buckets.ts';

/** Two zones in each of two regions, three where the country has one; and one node abroad, on which nothing may run. */
export function nodesOf(pack: CountryPack): readonly NodeSpec[] {
  const cc = lowerCountry(pack.country);
  const regions = pack.regions.slice(0, 2);
  const zones = regions.length > 1 ? ['a', 'b'] : ['a', 'b', 'c'];
  const home = regions.flatMap((region) =>
    zones.map((zone) => ({ name: `${region}-${zone}`, region, zone: `${region}-${zone}` })),
  );
  const away = cc === 'us' ? 'europe-west3' : 'us-central1';
  return [...home, { name: `abroad-${away}-a`, region: away, zone: `${away}-a` }];
}

/** The operator's namespace with the credentials of what is there before it. */
export function secretsOf(
  namespace: string,
  of: {
    readonly kafka: Readonly<Record<string, string>>;
    readonly lake: Buckets['credentials'];
  },
): Manifest[] {
  const all = { 'kafka-admin': of.kafka, ...of.lake };
  return [
    { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } },
    ...Object.entries(all).map(([name, stringData]) => ({
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name, namespace },
      type: 'Opaque',
      stringData,
    })),
  ];
}

export interface ValuesInput {
  readonly pack: CountryPack;
  /** Values of `domicile-buildings`, as YAML without the country. */
  readonly buildings: string;
  readonly bootstrap: string;
  readonly brokers: number;
  readonly store: Buckets['store'];
  readonly endpoint: string;
  readonly issuer: string;
}

/** The values of each chart, as YAML. */
export function valuesOf(of: ValuesInput): Record<'operator' | 'cell' | 'buildings', string> {
  const { country, regions } = of.pack;
  const cc = lowerCountry(country);
  const operator = { country, regions: regions.slice(0, 2), resyncSeconds: 60 };
  const cell = {
    country,
    regions: regions.slice(0, 2),
    kafka: { bootstrap: of.bootstrap, partitions: 8, replicas: of.brokers },
    lake: {
      store: of.store,
      endpoint: of.endpoint,
      region: regions[0],
      landingBucket: `domicile-${cc}-landing`,
      servingBucket: `domicile-${cc}-serving`,
    },
    broker: { replicas: 1, host: `mqtt.${cc}.domicile.example`, serviceType: 'LoadBalancer' },
    stream: { replicas: 1 },
    api: {
      issuer: of.issuer,
      jwks: `${of.issuer}/jwks`,
      replicas: 1,
      serviceType: 'LoadBalancer',
    },
  };
  return {
    operator: stringify(operator),
    cell: stringify(cell),
    buildings: `country: ${country}\n${of.buildings}`,
  };
}

const login = z.object({ user: z.string(), password: z.string() });
const ofRoles = <T extends z.ZodType>(of: T) =>
  z.object({ client: of, otherClient: of, analyst: of, sre: of });

/** `.domicile/kube/{cc}/up.json`: paths are absolute, times of tokens in their claims. */
export const upSchema = z.object({
  country: z.string(),
  kubeconfig: z.string(),
  kubectl: z.string(),
  helm: z.string(),
  helm3: z.string(),
  server: z.string(),
  values: z.object({ operator: z.string(), cell: z.string(), buildings: z.string() }),
  /** Of containers: `{namespace}/{pod}/{container}.log` below. */
  podLogs: z.string(),
  kafka: z.string(),
  buckets: z.string(),
  issuer: z.string(),
  tokens: ofRoles(z.string()),
  logins: ofRoles(login),
});
export type UpFile = z.output<typeof upSchema>;

export function upFileOf(of: {
  readonly dir: string;
  readonly pack: CountryPack;
  readonly tools: KubeTools;
  readonly bed: KubeTestbed;
  readonly kafka: KafkaCluster;
  readonly buckets: Buckets;
  readonly issuer: string;
  readonly users: DemoUsers;
}): UpFile {
  const { dir, pack, tools, bed, users } = of;
  const values = (chart: string) => join(dir, `${chart}.values.yaml`);
  const now = Date.now();
  return {
    country: pack.country,
    kubeconfig: bed.kubeconfigPath,
    ...tools,
    server: bed.server,
    values: {
      operator: values('operator'),
      cell: values('cell'),
      buildings: values('buildings'),
    },
    podLogs: join(dir, 'kubelet/logs'),
    kafka: of.kafka.bootstrap,
    buckets: of.buckets.url,
    issuer: of.issuer,
    tokens: byRole((role) => users.token(role, pack.country, now)),
    logins: byRole((role) => users.login(role)),
  };
}

function byRole<T>(of: (role: Role) => T) {
  return {
    client: of('client'),
    otherClient: of('otherClient'),
    analyst: of('analyst'),
    sre: of('sre'),
  };
}
