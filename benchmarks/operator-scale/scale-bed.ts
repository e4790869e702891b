import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { GcsEmulator } from '@domicile/devkit/gcs/gcs-emulator.ts';
import { KafkaCluster } from '@domicile/devkit/kafka-cluster.ts';
import { KubeTestbed } from '@domicile/devkit/kube/kube-testbed.ts';
import { waitFor } from '@domicile/devkit/wait-for.ts';
import { stringify } from 'yaml';
import { z } from 'zod';

const namespace = 'domicile-system';
const buildingNamespace = 'domicile-buildings';
const operatorName = 'domicile-operator';
const root = join(import.meta.dirname, '../..');
const regions = ['europe-west3', 'europe-west10'];
const admin = { username: 'cell-admin', password: 'cell-admin-secret' };
const lakeAdmin = 'lake-admin';
const lakeIdentities = [
  lakeAdmin,
  'lake-writer',
  'lake-serving-reader',
  'lake-raw-reader',
  'lake-eraser',
];
/** What the operator writes; leases and what nodes and controllers write are not counted. */
const ours = new Set([
  'buildings',
  'cells',
  'configmaps',
  'deployments',
  'networkpolicies',
  'poddisruptionbudgets',
  'secrets',
  'serviceaccounts',
  'services',
  'statefulsets',
]);

const conditioned = z.object({
  status: z
    .object({ conditions: z.array(z.object({ type: z.string(), status: z.string() })) })
    .optional(),
});

/** A cluster with its Kafka, its buckets and the operator's chart, whose pods a fake kubelet plays; the operator runs beside it. */
export class ScaleBed implements AsyncDisposable {
  readonly #dir: string;
  readonly #bed: KubeTestbed;
  readonly #kafka: KafkaCluster;
  readonly #gcs: GcsEmulator;
  readonly #stack: AsyncDisposableStack;
  #adminUrl = '';

  static async start(dir: string): Promise<ScaleBed> {
    await using stack = new AsyncDisposableStack();
    const kafka = await KafkaCluster.start({
      nodes: 1,
      racks: regions,
      security: { kind: 'scram', passwords: { [admin.username]: admin.password } },
      properties: { 'super.users': `User:admin;User:${admin.username}` },
    });
    stack.defer(() => kafka.stop());
    const gcs = stack.use(
      await GcsEmulator.start({ identities: lakeIdentities, admins: [lakeAdmin] }),
    );
    const nodes = regions.map((region) => ({ name: region, region, zone: `${region}-a` }));
    const bed = stack.use(await KubeTestbed.start({ nodes }));
    const secrets = Object.entries({
      'kafka-admin': admin,
      ...Object.fromEntries(
        lakeIdentities.map((name) => [name, { 'credentials.json': gcs.keyOf(name) }]),
      ),
    });
    await bed.client.applyAll([
      { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } },
      ...secrets.map(([name, stringData]) => ({
        apiVersion: 'v1',
        kind: 'Secret',
        metadata: { name, namespace },
        stringData,
      })),
    ]);
    return new ScaleBed({ dir, bed, kafka, gcs, stack: stack.move() });
  }

  private constructor(parts: {
    readonly dir: string;
    readonly bed: KubeTestbed;
    readonly kafka: KafkaCluster;
    readonly gcs: GcsEmulator;
    readonly stack: AsyncDisposableStack;
  }) {
    this.#dir = parts.dir;
    this.#bed = parts.bed;
    this.#kafka = parts.kafka;
    this.#gcs = parts.gcs;
    this.#stack = parts.stack;
  }

  /** Installs the operator's chart; the settings of a process that has its rights. */
  async operatorEnvironment(resyncMs: number): Promise<Record<string, string>> {
    await this.#install('domicile-operator', namespace, { country: 'DE', regions, replicas: 1 });
    const { client } = await this.#bed.serviceAccount(namespace, operatorName);
    const { identity, authority } = client.access;
    const accountDir = join(this.#dir, 'account');
    await mkdir(accountDir, { recursive: true });
    await writeFile(join(accountDir, 'token'), identity.kind === 'token' ? identity.token : '');
    await writeFile(join(accountDir, 'ca.crt'), authority);
    await writeFile(join(accountDir, 'namespace'), namespace);
    const { hostname, port } = new URL(this.#bed.server);
    const adminPort = 19_464;
    this.#adminUrl = `http://127.0.0.1:${adminPort}`;
    return {
      CELL_COUNTRY: 'DE',
      OPERATOR_NAMESPACE: namespace,
      OPERATOR_BUILDING_NAMESPACES: buildingNamespace,
      OPERATOR_ADMIN_PORT: `${adminPort}`,
      OPERATOR_RESYNC_MS: `${resyncMs}`,
      SERVICE_ACCOUNT_DIR: accountDir,
      KUBERNETES_SERVICE_HOST: hostname,
      KUBERNETES_SERVICE_PORT: port,
      MALLOC_ARENA_MAX: '2',
    };
  }

  async installCell(): Promise<void> {
    await this.#install('domicile-cell', namespace, {
      country: 'DE',
      regions,
      kafka: { bootstrap: this.#kafka.bootstrap, partitions: 8, replicas: 1 },
      lake: {
        store: 'gcs',
        endpoint: this.#gcs.url,
        region: regions[0],
        landingBucket: 'domicile-de-landing',
        servingBucket: 'domicile-de-serving',
      },
      broker: { host: 'mqtt.de.domicile.example' },
      api: {
        issuer: 'https://login.domicile.example',
        jwks: 'https://login.domicile.example/jwks',
      },
    });
  }

  async cellReady(): Promise<void> {
    const isReady = async () => (await this.#ready('Cell')) === 1;
    await waitFor('the Cell', isReady, 300_000).catch(async (error: unknown) => {
      const { items } = await this.#bed.client.list('domicile.dev/v1alpha1', 'Cell');
      throw new Error(JSON.stringify(items.map((cell) => cell['status'])), { cause: error });
    });
  }

  async installBuildings(release: number, count: number): Promise<void> {
    const four = { a: 'air-quality', b: 'air-quality', c: 'air-quality', d: 'air-quality' };
    const one = {
      client: 'acme',
      timeZone: 'Europe/Berlin',
      floors: { '1': { rooms: { 'r[1-25]': 'four' } } },
    };
    const names = Array.from({ length: count }, (_, n) => `de-s${release}x${n}`);
    const buildings = Object.fromEntries(names.map((name) => [name, one]));
    const values = { country: 'DE', roomTypes: { four }, buildings };
    await this.#install('domicile-buildings', buildingNamespace, values, `buildings-${release}`);
  }

  readyBuildings(): Promise<number> {
    return this.#ready('Building');
  }

  /**
   * Changes of what is the operator's, as the API server counts them, and what the operator creates, events included. Controllers of
   * the cluster make events too, and leases are renewed all the time: both are left out.
   */
  async writes(): Promise<number> {
    const text = z.string().parse(await this.#bed.client.request('GET', '/metrics'));
    const changes = text
      .split('\n')
      .filter((line) => line.startsWith('apiserver_request_total{'))
      .filter((line) => /verb="(?:APPLY|PATCH|PUT|DELETE)"/.test(line))
      .filter((line) => /code="2/.test(line) && /dry_run=""/.test(line))
      .filter((line) => ours.has(/[{,]resource="(\w+)"/.exec(line)?.[1] ?? ''));
    const created = await this.#metrics('rest_client_requests_total{method="POST",code="201"');
    return sumOf([...changes, ...created]);
  }

  /** At Buildings, by the operator. */
  async looks(): Promise<number> {
    const lines = await this.#metrics('controller_runtime_reconcile_total{');
    return sumOf(lines.filter((line) => line.includes('controller="building"')));
  }

  async isResting(): Promise<boolean> {
    const due = await this.#metrics('workqueue_depth{');
    const active = await this.#metrics('controller_runtime_active_workers{');
    return [...due, ...active].every((line) => line.endsWith(' 0'));
  }

  /** Seconds for so many writes of a small object, so many at once. */
  async bareWrites(count: number, concurrency: number): Promise<number> {
    const name = await this.#bed.namespace();
    const startedAt = performance.now();
    let next = 0;
    const work = async () => {
      while (next < count) {
        next += 1;
        await this.#bed.client.create({
          apiVersion: 'v1',
          kind: 'ConfigMap',
          metadata: { name: `bare-${next}`, namespace: name },
          data: { a: 'b'.repeat(1_000) },
        });
      }
    };
    await Promise.all(Array.from({ length: concurrency }, work));
    return Math.round((performance.now() - startedAt) / 100) / 10;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }

  async #metrics(prefix: string): Promise<string[]> {
    const response = await fetch(`${this.#adminUrl}/metrics`);
    const text = await response.text();
    return text.split('\n').filter((line) => line.startsWith(prefix));
  }

  async #ready(kind: string): Promise<number> {
    const { items } = await this.#bed.client.list('domicile.dev/v1alpha1', kind);
    return items.filter((item) =>
      conditioned
        .parse(item)
        .status?.conditions.some(({ type, status }) => type === 'Ready' && status === 'True'),
    ).length;
  }

  async #install(chart: string, into: string, values: unknown, release = chart): Promise<void> {
    const file = join(this.#dir, `${release}.values.yaml`);
    await writeFile(file, stringify(values));
    const outcome = await this.#bed.helm([
      'install',
      release,
      join(root, 'charts', chart),
      '--namespace',
      into,
      '--values',
      file,
    ]);
    if (outcome.status !== 0) throw new Error(`helm install ${release}: ${outcome.stderr}`);
  }
}

/** Of the last words of lines. */
function sumOf(lines: readonly string[]): number {
  return lines.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
}
