import { freshName } from '@domicile/devkit/fresh-name.ts';
import { GcsEmulator } from '@domicile/devkit/gcs/gcs-emulator.ts';
import type { KubeObject } from '@domicile/devkit/kube/kube-client.ts';
import {
  type KubeCaller,
  KubeTestbed,
  type KubeTestbedOptions,
} from '@domicile/devkit/kube/kube-testbed.ts';
import { waitFor } from '@domicile/devkit/wait-for.ts';
import type { KafkaAccess } from '@domicile/kafka/cell-diff.ts';
import { createLog } from '@domicile/runtime/log.ts';
import { z } from 'zod';
import { readConfig } from '../../config.ts';
import { buildingDefinition } from '../../crd/building-definition.ts';
import { cellDefinition } from '../../crd/cell-definition.ts';
import { specOfDe } from '../../model/cell/test-plan.ts';
import { type OperatorService, startOperator } from '../../start.ts';
import { createOperatorWallReconciler } from './operator-wall.ts';
import { realEnds } from './real-ends.ts';
import { createCellReconciler } from './reconciler.ts';
import { RememberedKafka } from './test-kafka.ts';

export const apiVersion = 'domicile.dev/v1alpha1';
export const operatorNamespace = 'domicile-system';
export const cellNamespace = 'domicile';
export const buildingNamespace = 'domicile-buildings';

/** Below the time of a test, so that it tells what it waited for. */
const untilMs = 45_000;
const identities = ['admin', 'writer', 'serving-reader', 'raw-reader', 'eraser'];
/** Beside them, for those who change credentials. */
const nextIdentities = ['next-admin', 'next-writer'];

const statusSchema = z.object({
  status: z
    .looseObject({
      observedGeneration: z.number().optional(),
      replicas: z.string().optional(),
      residency: z.unknown().optional(),
      conditions: z
        .array(
          z.object({
            type: z.string(),
            status: z.string(),
            reason: z.string(),
            message: z.string(),
          }),
        )
        .default([]),
    })
    .prefault({}),
});

function namespace(name: string) {
  return { apiVersion: 'v1', kind: 'Namespace', metadata: { name } };
}

export interface HouseOptions {
  /** How often Kafka and the store are looked at again. */
  readonly cellResyncMs?: number;
  readonly leaseMs?: number;
  /** Of the control plane. */
  readonly flags?: KubeTestbedOptions['flags'];
}

/** A cluster with nodes at home and abroad, a bucket emulator, a remembered Kafka, and the operator with the loop of `Cell`. */
export class CellHouse implements AsyncDisposable {
  readonly bed: KubeTestbed;
  readonly gcs: GcsEmulator;
  readonly kafka = new RememberedKafka();
  readonly name = 'de';
  /** May do everything, as the operator may, and is not it. */
  readonly mallory: KubeCaller;
  readonly landing = freshName('landing');
  readonly serving = freshName('serving');
  /** What the operator logged. */
  readonly lines: string[] = [];
  readonly #operator: KubeCaller;
  readonly #options: HouseOptions;
  #running: OperatorService | undefined;
  #failed: unknown;

  static async start(options: HouseOptions = {}): Promise<CellHouse> {
    const bed = await KubeTestbed.start({
      nodes: [
        { name: 'de-a', region: 'europe-west3', zone: 'europe-west3-a' },
        { name: 'de-b', region: 'europe-west10', zone: 'europe-west10-a' },
        { name: 'us-a', region: 'us-central1', zone: 'us-central1-a' },
      ],
      manifests: [cellDefinition, buildingDefinition],
      ...(options.flags && { flags: options.flags }),
    });
    const gcs = await GcsEmulator.start({
      identities: [...identities, ...nextIdentities],
      admins: ['admin', 'next-admin'],
    });
    const operator = await bed.user('operator', ['system:masters']);
    const mallory = await bed.user('mallory', ['system:masters']);
    const house = new CellHouse({ bed, gcs, operator, mallory, options });
    await bed.client.applyAll([
      namespace(operatorNamespace),
      namespace(cellNamespace),
      namespace(buildingNamespace),
      house.secret('kafka-admin', { username: 'admin', password: 'admin-secret' }),
      ...identities.map((identity) =>
        house.secret(`lake-${identity}`, { 'credentials.json': gcs.keyOf(identity) }),
      ),
    ]);
    await house.startOperator();
    return house;
  }

  private constructor(of: {
    bed: KubeTestbed;
    gcs: GcsEmulator;
    operator: KubeCaller;
    mallory: KubeCaller;
    options: HouseOptions;
  }) {
    this.bed = of.bed;
    this.gcs = of.gcs;
    this.#operator = of.operator;
    this.mallory = of.mallory;
    this.#options = of.options;
  }

  secret(name: string, data: Readonly<Record<string, string>>) {
    return {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name, namespace: operatorNamespace },
      data: Object.fromEntries(
        Object.entries(data).map(([key, value]) => [key, Buffer.from(value).toString('base64')]),
      ),
    };
  }

  /** If it does not run. */
  async startOperator(): Promise<void> {
    if (this.#running) return;
    const { cellResyncMs = 600_000, leaseMs = 3_000 } = this.#options;
    const config = readConfig({
      CELL_COUNTRY: 'DE',
      OPERATOR_BUILDING_NAMESPACES: buildingNamespace,
      OPERATOR_KUBECONFIG: this.#operator.kubeconfigPath,
      OPERATOR_LEASE_MS: `${leaseMs}`,
      OPERATOR_LEASE_RENEW_MS: '500',
      OPERATOR_RESYNC_MS: '600000',
    });
    const settings = {
      imageTag: 'test',
      regionsDir: config.OPERATOR_REGIONS_DIR,
      cellNamespace,
      cellResyncMs,
    };
    const ends = { ...realEnds, openKafka: (access: KafkaAccess) => this.kafka.open(access) };
    this.#running = await startOperator(config, (error) => (this.#failed = error), {
      reconcilers: (ports) => [
        createOperatorWallReconciler(ports, cellNamespace),
        createCellReconciler(ports, settings, ends),
      ],
      log: createLog('operator', { write: (line) => void this.lines.push(line) }),
    });
  }

  get adminUrl(): string {
    return this.#running?.adminUrl ?? '';
  }

  async stopOperator(): Promise<void> {
    await this.#running?.[Symbol.asyncDispose]();
    this.#running = undefined;
    if (this.#failed !== undefined) throw new Error('The operator ended', { cause: this.#failed });
  }

  /** As a user would write it. */
  manifest(changes: Readonly<Record<string, unknown>> = {}, name = this.name) {
    const lake = {
      store: 'gcs',
      endpoint: this.gcs.url,
      region: 'europe-west3',
      landingBucket: this.landing,
      servingBucket: this.serving,
    };
    const spec = specOfDe({ lake, web: { enabled: true }, ...changes });
    return { apiVersion, kind: 'Cell', metadata: { name }, spec };
  }

  cell(name = this.name): Promise<KubeObject> {
    return this.bed.client.get(apiVersion, 'Cell', { name });
  }

  async status(name = this.name) {
    return statusSchema.parse(await this.cell(name)).status;
  }

  async condition(type: string, name = this.name) {
    return (await this.status(name)).conditions.find((one) => one.type === type);
  }

  /** Resolves with its message when the condition has that status, and that reason if one is given. */
  async until(
    type: string,
    status: string,
    { reason, name = this.name }: { readonly reason?: string; readonly name?: string } = {},
  ): Promise<string> {
    let last = await this.condition(type, name);
    const holds = async () => {
      last = await this.condition(type, name);
      return last?.status === status && (reason === undefined || last.reason === reason);
    };
    await waitFor(`${type} ${status} ${reason ?? ''}`, holds, untilMs).catch((error: unknown) => {
      const log = this.lines
        .slice(-3)
        .map((line) => line.slice(0, 300))
        .join('\n');
      throw new Error(`it stayed ${JSON.stringify(last)}\n${log}`, { cause: error });
    });
    return last?.message ?? '';
  }

  child(version: string, kind: string, name: string): Promise<KubeObject | undefined> {
    return this.bed.client.find(version, kind, { name, namespace: cellNamespace });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stopOperator();
    await this.gcs[Symbol.asyncDispose]();
    await this.bed[Symbol.asyncDispose]();
  }
}
