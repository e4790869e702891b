import { PlatformError } from '@domicile/core/errors.ts';
import { parseCountryCode } from '@domicile/core/identities.ts';
import { CellKafka } from '@domicile/devkit/cell-kafka.ts';
import { KubeTestbed } from '@domicile/devkit/kube/kube-testbed.ts';
import { MemoryObjectStore } from '@domicile/lake/memory-object-store.ts';
import { createAuthority } from '@domicile/runtime/certificates.ts';
import { pino } from 'pino';
import { z } from 'zod';
import { readConfig } from '../../config.ts';
import { buildingDefinition } from '../../crd/building-definition.ts';
import { cellDefinition } from '../../crd/cell-definition.ts';
import { specOfDe } from '../../model/cell/test-plan.ts';
import { buildingKind } from '../../model/kinds.ts';
import type { Kind, KubeObject } from '../../runtime/kube.ts';
import { type TestClient, testClient } from '../../runtime/test-operator.ts';
import { type OperatorService, startOperator } from '../../start.ts';
import { createDevicesSeen } from './devices-seen.ts';
import { createBuildingReconciler } from './reconciler.ts';
import { buildingSpec, cellNamespace, operatorNamespace } from './test-house.ts';

const apiVersion = 'domicile.dev/v1alpha1';

/** A real API server and a real Kafka, with one cell declared; the operator has the control loop of buildings alone. */
export class BuildingCluster implements AsyncDisposable {
  readonly bed: KubeTestbed;
  readonly kafka: CellKafka;
  readonly client: TestClient;
  /** The landing bucket, as far as the operator sees it. */
  readonly archive = new MemoryObjectStore();
  readonly failures: unknown[] = [];
  /** What the serving API tells of devices that spoke lately. */
  readonly seen = new Map<string, number>();
  /** The store does not answer. */
  isStoreAway = false;

  static async start(): Promise<BuildingCluster> {
    const [bed, kafka] = await Promise.all([
      KubeTestbed.start({ kubelet: 'none', manifests: [cellDefinition, buildingDefinition] }),
      CellKafka.start({ country: parseCountryCode('DE') }),
    ]);
    const client = await testClient(bed.kubeconfigPath, { fieldManager: 'user' });
    const cluster = new BuildingCluster(bed, kafka, client);
    await cluster.#prepare();
    return cluster;
  }

  private constructor(bed: KubeTestbed, kafka: CellKafka, client: TestClient) {
    this.bed = bed;
    this.kafka = kafka;
    this.client = client;
  }

  async #prepare(): Promise<void> {
    for (const name of [operatorNamespace, cellNamespace, 'north', 'south'])
      await this.namespace(name);
    const { sasl } = this.kafka.client('operator');
    await this.secret(cellNamespace, 'kafka-operator', { password: String(sasl?.password) });
    const authority = await createAuthority('test-authority');
    await this.secret(cellNamespace, 'cell-authority', {
      'tls.crt': authority.certificate,
      'tls.key': authority.key,
    });
    await this.bed.client.apply({
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'cell-authority', namespace: cellNamespace },
      data: { 'ca.crt': authority.certificate },
    });
    await this.cell();
  }

  async cell(): Promise<void> {
    await this.bed.client.apply({
      apiVersion,
      kind: 'Cell',
      metadata: { name: 'de' },
      spec: specOfDe({
        kafka: { ...specOfDe().kafka, bootstrap: this.kafka.bootstrap },
        lake: { ...specOfDe().lake, softDeleteDays: 0 },
      }),
    });
  }

  async namespace(name: string): Promise<string> {
    await this.bed.client.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } });
    return name;
  }

  async secret(namespace: string, name: string, stringData: Readonly<Record<string, string>>) {
    await this.bed.client.apply({
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name, namespace },
      stringData,
    });
  }

  /** A replica of the operator; what ends it is kept in `failures`. */
  operator(env: Readonly<Record<string, string>> = {}): Promise<OperatorService> {
    const config = readConfig({
      CELL_COUNTRY: 'DE',
      OPERATOR_KUBECONFIG: this.bed.kubeconfigPath,
      OPERATOR_CONCURRENCY: '16',
      OPERATOR_REQUESTS_PER_SECOND: '2000',
      OPERATOR_REQUESTS_BURST: '4000',
      ...env,
    });
    return startOperator(config, (error) => void this.failures.push(error), {
      log: pino({ level: 'silent' }),
      reconcilers: (ports) => [
        createBuildingReconciler(ports, {
          erasure: {
            settleMs: 0,
            kafkaRetentionMs: 500,
            graceMs: 0,
            openArchive: async () => {
              if (this.isStoreAway) throw storeAway();
              return this.archive;
            },
          },
        }),
        createDevicesSeen(ports, {
          everyMs: 500,
          writeEveryMs: 500,
          ask: async () => this.seen,
        }),
      ],
    });
  }

  async declare(name: string, namespace = 'north', spec: object = {}): Promise<void> {
    await this.bed.client.apply({
      apiVersion,
      kind: 'Building',
      metadata: { name, namespace },
      spec: { ...buildingSpec, ...spec },
    });
  }

  building(name: string, namespace = 'north'): Promise<KubeObject | undefined> {
    return this.client.kube.get(buildingKind, { name, namespace });
  }

  async conditions(name: string, namespace = 'north'): Promise<Record<string, string>> {
    return conditionsIn(await this.building(name, namespace));
  }

  async drop(kind: Kind, name: string, namespace = 'north'): Promise<void> {
    const found = await this.client.kube.get(kind, { name, namespace });
    const uid = found?.metadata.uid;
    if (uid !== undefined) await this.client.kube.delete(kind, { name, namespace }, { uid });
  }

  /** Requests that change something, as the API server counts them; events and leases aside. */
  async writes(): Promise<number> {
    const text = z.string().parse(await this.bed.client.request('GET', '/metrics'));
    return text
      .split('\n')
      .filter((line) => line.startsWith('apiserver_request_total{'))
      .filter((line) => /verb="(?:APPLY|PATCH|POST|PUT|DELETE)"/.test(line))
      .filter((line) => /resource="(?:buildings|secrets|configmaps|jobs)"/.test(line))
      .reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.client[Symbol.dispose]();
    await this.bed[Symbol.asyncDispose]();
    await this.kafka.cluster.stop();
  }
}

function storeAway(): PlatformError {
  return new PlatformError(
    'UPSTREAM_UNAVAILABLE',
    'Cannot read the bucket: the store does not answer',
  );
}

const statusSchema = z.object({
  conditions: z.array(z.object({ type: z.string(), status: z.string(), reason: z.string() })),
});

/** By type: `True Onboarded`. */
export function conditionsIn(object: KubeObject | undefined): Record<string, string> {
  const { data } = statusSchema.safeParse(object?.['status']);
  return Object.fromEntries(
    (data?.conditions ?? []).map(({ type, status, reason }) => [type, `${status} ${reason}`]),
  );
}
